//! The C ABI: the header, the symbols, and a program of C that uses and misuses it.

use std::path::Path;

/// `include/trm.h` as `src/capi` has it. `TRM_BLESS=1 cargo test --test capi` writes it.
#[test]
fn the_header_is_what_the_source_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("include/cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in ["mod.rs", "options.rs", "records.rs"] {
        builder = builder.with_src(root.join("src/capi").join(file));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    let header = String::from_utf8(header).unwrap();
    let path = root.join("include/trm.h");
    if std::env::var_os("TRM_BLESS").is_some() {
        std::fs::write(&path, &header).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        header,
        "TRM_BLESS=1 writes it anew"
    );
}
