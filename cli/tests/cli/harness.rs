//! Runs the program and reads its output.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

/// A 4x4 Sudoku and its only solution.
pub(crate) const PUZZLE: &str = "0000020440102103";
pub(crate) const SOLUTION: &str = "3421123443122143";

/// Exit code and output of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// Returns the run if it ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self
    }

    /// Returns standard output as JSON Lines.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line:?} of {self:#?}"))
        };
        self.out.lines().map(parse).collect()
    }

    /// Returns the records of one type.
    #[track_caller]
    pub(crate) fn records(&self, kind: &str) -> Vec<Value> {
        self.json()
            .into_iter()
            .filter(|r| r["type"] == kind)
            .collect()
    }

    /// Returns the last record, which must be the summary.
    #[track_caller]
    pub(crate) fn summary(&self) -> Value {
        let last = self.json().pop().unwrap_or_default();
        assert_eq!(last["type"], "summary", "{self:#?}");
        last
    }
}

/// Returns the root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the bytes of a file of the repository.
pub(crate) fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = repository().join(path);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns the program with the environment variables that change its output removed, to be run in
/// the root of the repository.
pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm-run"));
    for name in [
        "TRM_MODEL",
        "TRM_DEVICE",
        "TRM_LOG",
        "TRM_CACHE_DIR",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command.args(args).current_dir(repository());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the program without input.
pub(crate) fn trm(args: &[&str]) -> Run {
    finish(program(args))
}

/// Runs the program with something on standard input.
pub(crate) fn trm_with(args: &[&str], input: &[u8]) -> Run {
    let mut command = program(args);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The program may end before it has read everything.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    run(output)
}

pub(crate) fn finish(mut command: Command) -> Run {
    run(command.output().unwrap())
}

pub(crate) fn run(output: std::process::Output) -> Run {
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Sends Ctrl-C after the first line of output, and waits for the end.
#[cfg(unix)]
pub(crate) fn interrupt(mut child: std::process::Child) -> Run {
    use std::io::{BufRead, BufReader, Read};
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    out.read_line(&mut text).unwrap();
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success(), "kill failed");
    out.read_to_string(&mut text).unwrap();
    Run {
        out: text,
        ..run(child.wait_with_output().unwrap())
    }
}

/// Returns the directory of a bundled model.
pub(crate) fn model(name: &str) -> String {
    format!("models/{name}")
}

/// Returns a file with the first puzzles of a test set, with solutions.
pub(crate) fn data(name: &str) -> String {
    let (set, puzzles) = match name {
        "sudoku-4x4.csv" => ("sudoku_4x4_test.csv", 30),
        "sudoku-6x6.csv" => ("sudoku_6x6_minimal_test.csv", 40),
        "sudoku-9x9.csv" => ("sudoku_9x9_newspaper_test.csv", 10),
        "maze-10x10.csv" => ("maze_10x10_test_1000.csv", 12),
        _ => panic!("no test set for {name}"),
    };
    static MAKING: Mutex<()> = Mutex::new(());
    let making = MAKING.lock().unwrap_or_else(|e| e.into_inner());
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("cli")
        .join(puzzles.to_string());
    let file = dir.join(name);
    if !file.exists() {
        let all = String::from_utf8(read(format!("tests/data/puzzles/{set}"))).unwrap();
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(
            &file,
            all.split_inclusive('\n')
                .take(puzzles + 1)
                .collect::<String>(),
        )
        .unwrap();
    }
    drop(making);
    file.display().to_string()
}

/// A temporary directory.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }
}

/// Returns the keys of an object, in order.
pub(crate) fn keys(record: &Value) -> Vec<&str> {
    record
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Reproducible random weights, uniform in -1 .. 1.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// Returns the bytes of `count` floats.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut value = || {
            self.0 = self
                .0
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).flat_map(|_| value().to_le_bytes()).collect()
    }
}
