//! Adapters that cannot run the kernels: the OpenGL of Mesa without some extensions.

use serde_json::Value;

use crate::harness::{Run, finish, program};
use crate::skip::skip;

fn without(extension: &str, arguments: &[&str]) -> Run {
    let mut command = program(arguments);
    command
        .env("WGPU_BACKEND", "gl")
        .env("MESA_EXTENSION_OVERRIDE", format!("-{extension}"));
    finish(command)
}

fn listed(extension: &str) -> Value {
    let run = without(extension, &["devices", "--json"]);
    serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{e}: {run:#?}"))
}

#[test]
fn a_missing_limit_is_named() {
    let known = listed("none");
    let mut devices = known["devices"].as_array().unwrap().iter();
    if !devices.any(|d| d["driver"].as_str().unwrap().contains("Mesa")) {
        return skip("MESA", "no OpenGL of Mesa");
    }
    let puzzle = "examples/puzzles/sudoku-4x4.json";
    let cases = [
        ("GL_ARB_compute_shader", "it has no compute shaders"),
        (
            "GL_ARB_shader_storage_buffer_object",
            "its max_storage_buffers_per_shader_stage is 0, 8 are needed",
        ),
    ];
    for (extension, missing) in cases {
        let listed = listed(extension);
        let device = &listed["devices"][0];
        assert_eq!(device["usable"], false, "{device}");
        assert_eq!(device["missing"], missing);
        assert_eq!(listed["auto"], "cpu");
        for name in ["gpu", "gpu:0"] {
            let run = without(extension, &["--device", name, puzzle]).expect(2);
            assert!(
                run.err
                    .lines()
                    .next()
                    .is_some_and(|line| line.contains(missing))
                    && run
                        .err
                        .lines()
                        .skip(1)
                        .all(|line| line.starts_with("hint: ")),
                "{run:#?}"
            );
        }
        // Without --device the CPU runs, and nothing is reported.
        without(extension, &["--quiet", puzzle]).expect(0);
    }
}
