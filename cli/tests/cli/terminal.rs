//! The output on a terminal. These tests need `script` of util-linux, and are skipped without it.

use std::process::Command;

use crate::harness::*;
use crate::skip::skip;

/// In an environment for [`on_terminal`]: the variable is not set.
const UNSET: &str = "<unset>";

/// Runs the program on a pseudo-terminal. Returns all output, or `None` without `script`.
fn on_terminal(args: &str, env: &[(&str, &str)]) -> Option<String> {
    let has_script = Command::new("script")
        .arg("--version")
        .output()
        .is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("util-linux"));
    if !has_script {
        skip("SCRIPT", "no `script` of util-linux");
        return None;
    }
    let line = format!("{} {args}", env!("CARGO_BIN_EXE_trm-run"));
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .current_dir(repository());
    command
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(env.iter().copied().filter(|(_, value)| *value != UNSET))
        .stdin(std::process::Stdio::null());
    for (name, _) in env.iter().filter(|(_, value)| *value == UNSET) {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_puzzle_is_drawn_step_by_step() {
    let scratch = Scratch::new();
    let file = scratch.file("p.txt", PUZZLE);
    let args = format!("--model models/sudoku-4x4 --no-halt --max-steps 3 {file}");
    let Some(seen) = on_terminal(&args, &[]) else {
        return;
    };
    for step in ["step 1/3", "step 2/3", "step 3/3"] {
        assert!(seen.contains(step), "{seen}");
    }
    assert!(
        seen.contains("┌") && seen.contains("\x1b[1m") && seen.contains("\x1b[8A"),
        "{seen:?}"
    );
    assert!(seen.contains("solved in 3 steps"), "{seen}");
}

#[test]
fn no_color_means_none() {
    let scratch = Scratch::new();
    let args = format!(
        "--model models/sudoku-4x4 {}",
        scratch.file("p.txt", PUZZLE)
    );
    let Some(seen) = on_terminal(&args, &[("NO_COLOR", "1")]) else {
        return;
    };
    assert!(
        !seen.contains("\x1b[1m") && !seen.contains("\x1b[3"),
        "{seen:?}"
    );
    assert!(seen.contains('*') && seen.contains("│ 3 4 │"), "{seen}");
    // None of these terminals is known to understand escape sequences.
    for term in ["dumb", "", UNSET] {
        let Some(seen) = on_terminal(&args, &[("TERM", term)]) else {
            return;
        };
        assert!(
            !seen.contains('\x1b') && seen.contains("3 4"),
            "{term}: {seen:?}"
        );
    }
}
