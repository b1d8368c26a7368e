//! The program: pictures without a window, and exit codes.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program without a display.
fn run(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm-demo"));
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

/// Returns whether the picture was drawn. Without a graphics driver the test is skipped, unless
/// `TRM_REQUIRE_GPU` demands one.
fn has_drawn(output: &Output) -> bool {
    let text = String::from_utf8_lossy(&output.stderr);
    let is_skipped = text.contains("no graphics driver can draw");
    assert!(
        !is_skipped || !std::env::var("TRM_REQUIRE_GPU").is_ok_and(|v| v == "1"),
        "{text}"
    );
    if is_skipped {
        eprintln!("skipped: {text}");
    } else {
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{:?}: {text}",
            output.status
        );
    }
    !is_skipped
}

#[test]
fn a_screenshot_after_some_steps() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.json"), "\"0000020440102103\"").unwrap();
    let output = run(
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
    if !has_drawn(&output) {
        return;
    }
    let two = image::open(folder.path().join("a.png")).unwrap().to_rgba8();
    assert!(
        two.width() >= 1000 && two.height() >= 700,
        "{:?}",
        two.dimensions()
    );
    let colors: std::collections::HashSet<_> = two.pixels().collect();
    assert!(colors.len() > 50, "{} colours", colors.len());
    // Another number of steps and another theme give another picture.
    run(
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
        "a screenshot must not save settings"
    );
}

#[test]
fn an_animation_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--board", "4", "--seed", "3", "--device", "cpu", "--record", "a.gif", "--size", "640x480",
    ];
    let output = run(&args, folder.path());
    if !has_drawn(&output) {
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
fn errors_end_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.json"), "{\"puzzle\": 1}").unwrap();
    for (args, word) in [
        (
            &["missing.json", "--screenshot", "a.png"][..],
            "missing.json",
        ),
        (&["bad.json", "--screenshot", "a.png"], "bad.json"),
        (&["--device", "gpu:x", "--screenshot", "a.png"], "no device"),
        (
            &["--against-device", "tpu", "--screenshot", "a.png"],
            "no device",
        ),
    ] {
        let output = run(args, folder.path());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.starts_with("error: ") && text.contains(word), "{text}");
    }
    assert_eq!(
        run(&["--no-such-option"], folder.path()).status.code(),
        Some(2)
    );
}

/// Without a display the program ends with a message, not with a panic.
#[cfg(target_os = "linux")]
#[test]
fn a_missing_display_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&[], folder.path());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("cannot open a window") && !text.contains("panicked"),
        "{text}"
    );
}
