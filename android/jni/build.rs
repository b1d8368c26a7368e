//! How the library is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "android" || os == "linux");
    if linux {
        // Android 15 may have pages of 16 KB; NDKs before r28 align to 4 KB.
        println!("cargo:rustc-link-arg-cdylib=-Wl,-z,max-page-size=16384");
    }
}
