//! Sets the linker options of the Android library.

fn main() {
    println!("cargo:rerun-if-changed=hidden.map");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "android") {
        // Newer phones have 16 KB pages. NDKs before r28 align to 4 KB.
        println!("cargo:rustc-link-arg-cdylib=-Wl,-z,max-page-size=16384");
        // rustc passes its own export list, too. If a function is in both, the NDK's linker (lld)
        // hides it.
        let hidden = std::path::absolute("hidden.map").expect("a valid path");
        println!(
            "cargo:rustc-link-arg-cdylib=-Wl,--version-script={}",
            hidden.display()
        );
    }
}
