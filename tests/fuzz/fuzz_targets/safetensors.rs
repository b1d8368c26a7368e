//! Any bytes as a file of tensors: what can be indexed is read too.
#![no_main]

use trm_runtime::low_level::checkpoint::Checkpoint;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(file) = Checkpoint::from_bytes(data.to_vec()) {
        for name in file.tensors().keys().take(50) {
            let _ = file.read(name);
            let _ = file.read_row(name, 0);
        }
    }
    let _ = trm_runtime::Model::from_bytes(data.to_vec(), &trm_runtime::LoadOptions::default());
});
