//! Tests the C ABI: its header, its exported symbols, and C programs that use and misuse it.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const MODEL: &str = "models/sudoku-4x4/model.safetensors";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Generates the header from `src/capi` and compares it with `include/trm.h`.
/// `TRM_BLESS=1 cargo test --test capi` overwrites the file.
#[test]
fn the_header_matches_the_source() {
    let config = cbindgen::Config::from_file(root().join("include/cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in ["mod.rs", "options.rs", "c_structs.rs"] {
        builder = builder.with_src(root().join("src/capi").join(file));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    let header = String::from_utf8(header).unwrap();
    let path = root().join("include/trm.h");
    if std::env::var_os("TRM_BLESS").is_some() {
        std::fs::write(&path, &header).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        header,
        "include/trm.h is out of date; TRM_BLESS=1 regenerates it"
    );
}

/// Builds the shared library as an app would and returns its folder.
fn library_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let args = "rustc --lib --crate-type cdylib --no-default-features --features capi";
        run(Command::new(env!("CARGO"))
            .args(args.split(' '))
            .arg("--target-dir")
            .arg(target));
        target.join("debug")
    })
}

/// Runs a program, which must succeed, and returns its standard output.
fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.current_dir(root()).output().unwrap();
    let (stdout, stderr) = [stdout, stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .into();
    assert!(
        status.success(),
        "{command:?}: {status}\n{stdout}\n{stderr}"
    );
    stdout
}

/// Compiles a C program, with warnings as errors, and links it with the shared library.
fn compile(source: &str) -> PathBuf {
    let program =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(Path::new(source).file_stem().unwrap());
    let library = library_folder().display();
    run(Command::new("cc")
        .args("-std=c99 -pedantic -Wall -Wextra -Werror -g -Iinclude -pthread".split(' '))
        .args(["-o".as_ref(), program.as_os_str(), source.as_ref()])
        .args([
            format!("-L{library}"),
            "-ltrm_runtime".into(),
            format!("-Wl,-rpath,{library}"),
        ]));
    program
}

#[test]
fn the_header_is_valid_cplusplus() {
    for standard in ["-std=c++11", "-std=c++20"] {
        run(Command::new("c++")
            .args(["-xc++", "-pedantic", "-Wall", "-Wextra", "-Werror"])
            .args([standard, "-fsyntax-only", "include/trm.h"]));
    }
}

#[test]
fn the_example_solves_a_puzzle() {
    let example = compile("examples/c/solve.c");
    let solve = |puzzle| {
        Command::new(&example)
            .args(["models/sudoku-4x4", puzzle])
            .output()
            .unwrap()
    };
    let solved = solve("0000020440102103");
    let printed = String::from_utf8(solved.stdout).unwrap();
    assert!(
        printed.contains("3421123443122143: valid after"),
        "{printed}"
    );
    assert!(printed.starts_with("step 1  halt "), "{printed}");
    assert_eq!(solved.status.code(), Some(0));

    let refused = solve("1100000000000000");
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .starts_with("error: puzzle 0: ")
    );
}

/// Runs the misuse program directly and then under valgrind. `TRM_REQUIRE_VALGRIND=1` turns a
/// missing valgrind into a failure.
///
/// Valgrind runs one thread at a time. Without its fair scheduler, threads that spin for work can
/// starve the thread that has the work. `timeout` turns a hang into a failure with its output.
#[test]
fn misuse_returns_error_codes_and_accesses_no_invalid_memory() {
    let program = compile("tests/capi/misuse.c");
    run(Command::new(&program).arg(MODEL));
    if Command::new("valgrind").arg("--version").output().is_err() {
        let required = std::env::var("TRM_REQUIRE_VALGRIND").is_ok_and(|v| v == "1");
        assert!(!required, "valgrind is not installed");
        return println!("skipped: valgrind is not installed");
    }
    let valgrind = |program: &Path, arg: &str| {
        // Static tables live as long as the process. Valgrind sees only interior pointers to them,
        // which is not a leak.
        let leaks = "--leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite";
        let mut command = Command::new("timeout");
        command
            .args([
                "600",
                "valgrind",
                "--quiet",
                "--error-exitcode=99",
                "--fair-sched=yes",
            ])
            .args(leaks.split(' '));
        command.arg(program).arg(arg);
        command
    };
    run(&mut valgrind(&program, MODEL));

    // Planted bug: an answer is read after it was freed.
    let planted = compile("tests/capi/after_free.c");
    let output = valgrind(&planted, MODEL)
        .current_dir(root())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(99));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Invalid read"));
}

/// `alarm` in the children turns a hang into a failure.
#[test]
fn a_forked_process_gets_a_status_and_does_not_hang() {
    let program = compile("tests/capi/fork.c");
    run(Command::new(program).arg(MODEL));
}

/// The library exports exactly the functions that the header declares.
#[test]
#[cfg(target_os = "linux")]
fn only_the_functions_of_the_header_are_exported() {
    let library = library_folder().join(format!("{DLL_PREFIX}trm_runtime{DLL_SUFFIX}"));
    let symbols = run(Command::new("nm")
        .args(["-D", "--defined-only", "--format=just-symbols"])
        .arg(library));
    let exported: BTreeSet<_> = symbols.lines().collect();
    let header = std::fs::read_to_string(root().join("include/trm.h")).unwrap();
    let code = header
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.flat_map(|line| [line, "\n"]).collect();
    // Outside comments, only function declarations have a name before a parenthesis.
    let declared: BTreeSet<_> = code
        .split('(')
        .filter_map(|before| {
            before
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        })
        .filter(|name| name.starts_with("trm_"))
        .collect();
    assert!(declared.len() > 10, "{declared:?}");
    assert_eq!(exported, declared);
}
