//! How the library of Android is linked.

fn main() {
    println!("cargo:rerun-if-changed=hidden.map");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "android") {
        // Pages are of 16 KB on newer phones; NDKs before r28 align to 4 KB.
        println!("cargo:rustc-link-arg-cdylib=-Wl,-z,max-page-size=16384");
        // Beside the list that rustc gives; where both name a function, the linker of the NDK, lld, keeps it inside.
        let hidden = std::path::absolute("hidden.map").expect("a path");
        println!(
            "cargo:rustc-link-arg-cdylib=-Wl,--version-script={}",
            hidden.display()
        );
    }
}
