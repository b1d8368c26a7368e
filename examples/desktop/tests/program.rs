//! The program as it is run: pictures without a window, exit codes.

use std::path::Path;
use std::process::{Command, Output};

fn demo(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm-demo"));
    // No display: a picture needs none.
    command
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("TRM_MODEL")
        .env_remove("TRM_DEVICE");
    command
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .current_dir(folder);
    command.args(args).output().unwrap()
}

/// Whether the picture could be drawn; without any driver there is nothing to test, unless TRM_REQUIRE_GPU says that there is one.
fn drawn(output: &Output) -> bool {
    let text = String::from_utf8_lossy(&output.stderr);
    let absent = text.contains("nothing here can draw");
    assert!(
        !absent || !std::env::var("TRM_REQUIRE_GPU").is_ok_and(|v| v == "1"),
        "{text}"
    );
    if absent {
        eprintln!("skipped: {text}");
    } else {
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{:?}: {text}",
            output.status
        );
    }
    !absent
}

#[test]
fn a_picture_after_some_steps() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.json"), "\"0000020440102103\"").unwrap();
    let output = demo(
        &[
            "p.json",
            "--device",
            "cpu",
            "--screenshot",
            "a.png",
            "--steps",
            "2",
        ],
        folder.path(),
    );
    if !drawn(&output) {
        return;
    }
    let two = image::open(folder.path().join("a.png")).unwrap().to_rgba8();
    assert!(
        two.width() >= 1000 && two.height() >= 700,
        "{:?}",
        two.dimensions()
    );
    let colours: std::collections::HashSet<_> = two.pixels().collect();
    assert!(colours.len() > 50, "{} colours", colours.len());
    // The same again, and another after another number of steps.
    demo(
        &[
            "p.json",
            "--device",
            "cpu",
            "--screenshot",
            "b.png",
            "--steps",
            "0",
            "--theme",
            "dark",
        ],
        folder.path(),
    );
    let none = image::open(folder.path().join("b.png")).unwrap().to_rgba8();
    assert_ne!(two, none);
    assert!(
        !folder.path().join("config").exists(),
        "a picture is no reason to remember anything"
    );
}

#[test]
fn a_film_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--board", "4", "--seed", "3", "--device", "cpu", "--record", "a.gif", "--size", "640x480",
    ];
    let output = demo(&args, folder.path());
    if !drawn(&output) {
        return;
    }
    let file = std::fs::File::open(folder.path().join("a.gif")).unwrap();
    let mut decoder = gif::DecodeOptions::new().read_info(file).unwrap();
    assert_eq!((decoder.width(), decoder.height()), (640, 480));
    let mut frames = 0;
    while decoder.read_next_frame().unwrap().is_some() {
        frames += 1;
    }
    assert!(frames >= 4, "{frames} frames");
}

#[test]
fn what_cannot_be_shown_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.json"), "{\"puzzle\": 1}").unwrap();
    for (args, word) in [
        (&["missing.json", "--screenshot", "a.png"][..], "missing.json"),
        (&["bad.json", "--screenshot", "a.png"], "bad.json"),
        (&["--device", "gpu:x", "--screenshot", "a.png"], "no device"),
        (&["--against-device", "tpu", "--screenshot", "a.png"], "no device"),
    ] {
        let output = demo(args, folder.path());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.starts_with("error: ") && text.contains(word), "{text}");
    }
    assert_eq!(demo(&["--no-such-option"], folder.path()).status.code(), Some(2));
}

/// Without a display the window says so instead of ending in a panic.
#[cfg(target_os = "linux")]
#[test]
fn no_display_is_an_error_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(&[], folder.path());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("no window") && !text.contains("panicked"), "{text}");
}
