use std::sync::OnceLock;

use trm_runtime::low_level::backend::gpu::Gpu;

use crate::skip::skip;

/// Returns the best GPU, which may be a software GPU. It is opened once for all tests of a program.
///
/// If no GPU is available, the running test is reported as skipped, or fails with
/// `TRM_REQUIRE_GPU=1`.
pub(crate) fn gpu() -> Option<Gpu> {
    static OPENED: OnceLock<Result<Gpu, String>> = OnceLock::new();
    let opened = OPENED.get_or_init(|| Gpu::open(None).map_err(|e| e.to_string()));
    match opened {
        Ok(gpu) => Some(gpu.clone()),
        Err(e) => {
            skip("GPU", e);
            None
        }
    }
}
