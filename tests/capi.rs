//! The C ABI: its header, its symbols, and programs of C that use and misuse it.
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

/// `include/trm.h` as `src/capi` has it. `TRM_BLESS=1 cargo test --test capi` writes it.
#[test]
fn the_header_is_what_the_source_says() {
    let config = cbindgen::Config::from_file(root().join("include/cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in ["mod.rs", "options.rs", "records.rs"] {
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
        "TRM_BLESS=1 writes it anew"
    );
}

/// The folder that the library for apps is in, built as an app's build does it.
fn library() -> &'static Path {
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

/// What a program printed. It must end well.
fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.current_dir(root()).output().unwrap();
    let (stdout, stderr) = [stdout, stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .into();
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout
}

/// A program of C that is linked with the library; warnings are errors.
fn compiled(source: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(Path::new(source).file_stem().unwrap());
    let library = library().display();
    run(Command::new("cc")
        .args("-std=c99 -pedantic -Wall -Wextra -Werror -g -Iinclude -pthread".split(' '))
        .args(["-o".as_ref(), program.as_os_str(), source.as_ref()])
        .args([
            format!("-L{library}"),
            "-ltrm".into(),
            format!("-Wl,-rpath,{library}"),
        ]));
    program
}

#[test]
fn the_header_is_cplusplus_too() {
    for standard in ["-std=c++11", "-std=c++20"] {
        run(Command::new("c++")
            .args(["-xc++", "-pedantic", "-Wall", "-Wextra", "-Werror"])
            .args([standard, "-fsyntax-only", "include/trm.h"]));
    }
}

#[test]
fn the_example_solves() {
    let example = compiled("examples/c/solve.c");
    let solve = |puzzle| {
        Command::new(&example)
            .args(["models/sudoku-4x4", puzzle])
            .output()
            .unwrap()
    };
    let solved = solve("0000020440102103");
    let printed = String::from_utf8(solved.stdout).unwrap();
    assert!(printed.contains("3421123443122143: valid after"), "{printed}");
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

/// Checked once as it is and once with each byte that is read or written looked at. `TRM_REQUIRE_VALGRIND=1` makes the absence of
/// valgrind a failure. Valgrind runs one thread at a time: without its fair scheduler, threads that wait for work can keep the
/// one that has it from running for ever. `timeout` makes whatever hangs all the same a failure, with what it printed.
#[test]
fn misuse_is_an_error_code_and_touches_no_memory_but_its_own() {
    let program = compiled("tests/capi/misuse.c");
    run(Command::new(&program).arg(MODEL));
    if Command::new("valgrind").arg("--version").output().is_err() {
        let required = std::env::var("TRM_REQUIRE_VALGRIND").is_ok_and(|v| v == "1");
        assert!(!required, "there is no valgrind");
        return println!("skipped: there is no valgrind");
    }
    let valgrind = |program: &Path, arg: &str| {
        // Tables that live as long as the process are no leak, though nothing but their middle is pointed at.
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

    // It would see an answer that is read after its end.
    let planted = compiled("tests/capi/after_free.c");
    let seen = valgrind(&planted, MODEL).current_dir(root()).output().unwrap();
    assert_eq!(seen.status.code(), Some(99));
    assert!(String::from_utf8_lossy(&seen.stderr).contains("Invalid read"));
}

/// An app sees what the header names and nothing else.
#[test]
#[cfg(target_os = "linux")]
fn only_the_functions_of_the_header_are_exported() {
    let library = library().join(format!("{DLL_PREFIX}trm{DLL_SUFFIX}"));
    let listed = run(Command::new("nm")
        .args(["-D", "--defined-only", "--format=just-symbols"])
        .arg(library));
    let exported: BTreeSet<_> = listed.lines().collect();
    let header = std::fs::read_to_string(root().join("include/trm.h")).unwrap();
    let code = header.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.flat_map(|line| [line, "\n"]).collect();
    // Their declarations are the only places where a name stands before a parenthesis.
    let named: BTreeSet<_> = code
        .split('(')
        .filter_map(|before| before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next())
        .filter(|name| name.starts_with("trm_"))
        .collect();
    assert!(named.len() > 10, "{named:?}");
    assert_eq!(exported, named);
}
