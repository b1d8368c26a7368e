//! Files that the program writes: devices, links, inputs, locations, `-`, and signals.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::each::test_each;
use crate::harness::{
    PUZZLE, Run, Scratch, data, finish, model, program, read, run, trm, trm_with,
};
use crate::skip::skip;

const CHALLENGES: &str = "tests/data/arc/challenges.json";
const IDENTIFIERS: &str = "tests/data/arc/identifiers.json";
const PREDICTIONS: &str = "tests/data/arc/predictions.safetensors";

/// A command that writes one file, and its exit code.
type Writer = (&'static str, Vec<String>, i32);

fn strings(args: &[&str]) -> Vec<String> {
    args.iter().map(|&arg| arg.to_owned()).collect()
}

/// The three commands with a file as output, without its name.
fn writers(scratch: &Scratch) -> Vec<Writer> {
    let csv = data("sudoku-4x4.csv");
    let eval = [
        "eval",
        "sudoku-4x4",
        "--data",
        &csv,
        "--limit",
        "2",
        "--device",
        "cpu",
        "--curve",
    ];
    let inputs = trace_input(scratch);
    let trace = [
        "trace",
        "sudoku-4x4",
        "--inputs",
        &inputs,
        "--steps",
        "1",
        "--device",
        "cpu",
        "-o",
    ];
    let arc = [
        "arc",
        CHALLENGES,
        "--predictions",
        PREDICTIONS,
        "--identifiers",
        IDENTIFIERS,
        "-o",
    ];
    vec![
        ("arc", strings(&arc), 1),
        ("eval", strings(&eval), 0),
        ("trace", strings(&trace), 0),
    ]
}

fn trace_input(scratch: &Scratch) -> String {
    let tokens: Vec<u8> = [1i32; 32].iter().flat_map(|t| t.to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::I32, vec![2, 16], &tokens);
    let bytes = safetensors::serialize([("inputs", view.unwrap())], None).unwrap();
    scratch.file("inputs.safetensors", bytes)
}

fn write_to((_, args, _): &Writer, output: &str) -> Run {
    let args: Vec<&str> = args.iter().map(String::as_str).chain([output]).collect();
    trm(&args)
}

/// Returns whether bytes are the complete result of a command.
fn is_result((name, ..): &Writer, bytes: &[u8]) -> bool {
    match *name {
        "arc" => serde_json::from_slice::<serde_json::Value>(bytes)
            .is_ok_and(|all| all.as_object().is_some_and(|tasks| tasks.len() > 3)),
        "eval" => bytes.starts_with(b"<svg") && bytes.ends_with(b"</svg>\n"),
        _ => safetensors::SafeTensors::deserialize(bytes).is_ok(),
    }
}

/// Makes a device of its own, since no test may touch those of the system.
fn device(path: &str, minor: &str) -> bool {
    let made = Command::new("mknod")
        .args(["-m", "666", path, "c", "1", minor])
        .output();
    let made = made.is_ok_and(|output| output.status.success());
    if !made {
        skip("MKNOD", "no device can be made here");
    }
    made
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn devices_stay_devices() {
    let scratch = Scratch::new();
    let (null, full, link) = (
        scratch.path("null"),
        scratch.path("full"),
        scratch.path("link"),
    );
    if !device(&null, "3") || !device(&full, "7") {
        return;
    }
    symlink("null", &link).unwrap();
    let cases = writers(&scratch)
        .into_iter()
        .map(|writer| (writer.0, writer));
    test_each(cases, |writer| {
        write_to(&writer, &null).expect(writer.2);
        write_to(&writer, &link).expect(writer.2);
        let run = write_to(&writer, &full).expect(2);
        assert!(run.err.contains("full"), "{}", run.err);
        for path in [&null, &full] {
            let kind = fs::symlink_metadata(path).unwrap().file_type();
            assert!(kind.is_char_device(), "{path}");
        }
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    });
}

#[test]
fn pipes_and_open_descriptors_are_written_in_place() {
    let scratch = Scratch::new();
    let (pipe, out, error) = (
        scratch.path("pipe"),
        scratch.path("out"),
        scratch.path("error"),
    );
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    symlink("/proc/self/fd/1", &out).unwrap();
    symlink("/dev/stderr", &error).unwrap();
    let cases = writers(&scratch)
        .into_iter()
        .map(|writer| (writer.0, writer));
    test_each(cases, |writer| {
        let path = pipe.clone();
        let reader = std::thread::spawn(move || fs::read(path).unwrap());
        write_to(&writer, &pipe).expect(writer.2);
        assert!(is_result(&writer, &reader.join().unwrap()));
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
        // Standard output as a pipe, a socket, and a file that others append to as well.
        for name in [out.as_str(), "/dev/stdout", "/dev/fd/1", "-"] {
            let run = command(&writer, name).output().unwrap();
            assert_eq!(run.status.code(), Some(writer.2), "{name}: {run:?}");
            assert!(is_result(&writer, &run.stdout), "{name}: {run:?}");
        }
        let file = scratch.file("appended", "before\n");
        let appended = File::options().append(true).open(&file).unwrap();
        let mut child = command(&writer, &out);
        assert_eq!(
            child.stdout(appended).status().unwrap().code(),
            Some(writer.2)
        );
        let bytes = fs::read(&file).unwrap();
        let rest = bytes.strip_prefix(b"before\n").expect("what was there");
        assert!(is_result(&writer, rest));
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut socket = command(&writer, &out);
        let mut child = socket.stdout(OwnedFd::from(theirs)).spawn().unwrap();
        drop(socket);
        let mut bytes = Vec::new();
        ours.read_to_end(&mut bytes).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(writer.2));
        assert!(is_result(&writer, &bytes));
        let run = command(&writer, &error).output().unwrap();
        assert_eq!(run.status.code(), Some(writer.2), "{run:?}");
        // A further descriptor, as `3>file` gives it.
        let third = scratch.path("third");
        let script = format!("exec \"$@\" 3>'{third}'");
        let run = shell(&script, &[&writer.1[..], &strings(&["/dev/fd/3"])].concat());
        assert_eq!(run.code, Some(writer.2), "{run:?}");
        assert!(is_result(&writer, &fs::read(third).unwrap()));
        for link in [&out, &error] {
            assert!(fs::symlink_metadata(link).unwrap().is_symlink(), "{link}");
        }
    });
}

/// The command of a writer, whose standard output closes with it.
fn command((_, args, _): &Writer, output: &str) -> Command {
    let args: Vec<&str> = args.iter().map(String::as_str).chain([output]).collect();
    program(&args)
}

/// Runs the program in a shell, as `"$@"` of a script.
fn shell(script: &str, args: &[String]) -> Run {
    run(shell_command(script, args).output().unwrap())
}

fn shell_command(script: &str, args: &[String]) -> Command {
    let program = program(&[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .arg(program.get_program());
    command.args(args).current_dir(crate::harness::repository());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A pipe that nobody reads does not hold the program.
#[test]
fn ctrl_c_ends_the_wait_for_a_reader() {
    let scratch = Scratch::new();
    let pipe = scratch.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for writer in &writers(&scratch) {
        let child = command(writer, &pipe).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        let start = Instant::now();
        let run = signalled(child, "TERM");
        assert!([Some(130), Some(2)].contains(&run.code), "{run:?}");
        assert!(start.elapsed() < Duration::from_secs(8), "{}", writer.0);
    }
}

#[test]
fn links_stay_links_and_their_targets_change() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name);
    fs::create_dir(path("a")).unwrap();
    fs::create_dir(path("b")).unwrap();
    let cases = writers(&scratch)
        .into_iter()
        .map(|writer| (writer.0, writer));
    test_each(cases, |writer| {
        for folder in ["a", "b"] {
            fs::remove_dir_all(path(folder)).unwrap();
            fs::create_dir(path(folder)).unwrap();
        }
        fs::write(path("b/result"), "old").unwrap();
        symlink("../b/result", path("a/link")).unwrap();
        symlink("link", path("a/chain")).unwrap();
        symlink("../b/new", path("a/dangling")).unwrap();
        symlink("b", path("folder")).unwrap_or_default();
        for (name, target) in [
            ("a/link", "b/result"),
            ("a/chain", "b/result"),
            ("a/dangling", "b/new"),
            ("folder/plain", "b/plain"),
        ] {
            write_to(&writer, &path(name)).expect(writer.2);
            assert!(
                is_result(&writer, &fs::read(path(target)).unwrap()),
                "{name}"
            );
            assert!(!fs::symlink_metadata(path(target)).unwrap().is_symlink());
        }
        for link in ["a/link", "a/chain", "a/dangling"] {
            assert!(
                fs::symlink_metadata(path(link)).unwrap().is_symlink(),
                "{link}"
            );
        }
        assert_eq!(names(&path("a")), ["chain", "dangling", "link"]);
        assert_eq!(names(&path("b")), ["new", "plain", "result"]);
    });
}

#[test]
fn an_output_that_is_also_an_input_is_refused() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name);
    let converted = path("model");
    trm(&["convert", &model("sudoku-4x4"), "-o", &converted]).expect(0);
    let files = [
        ("tasks.json", read(CHALLENGES)),
        ("predictions", read(PREDICTIONS)),
        ("identifiers", read(IDENTIFIERS)),
        ("data.csv", fs::read(data("sudoku-4x4.csv")).unwrap()),
        ("inputs", fs::read(trace_input(&scratch)).unwrap()),
    ];
    for (name, bytes) in &files {
        scratch.file(name, bytes);
    }
    let [tasks, predictions, identifiers, csv, inputs] = files.each_ref().map(|f| path(f.0));
    let arc = strings(&[
        "arc",
        &tasks,
        "--predictions",
        &predictions,
        "--identifiers",
        &identifiers,
        "-o",
    ]);
    let eval = strings(&["eval", &converted, "--data", &csv, "--curve"]);
    let folder = strings(&["eval", &converted, "--data", &path(""), "--curve"]);
    let trace = strings(&[
        "trace", &converted, "--steps", "1", "--inputs", &inputs, "-o",
    ]);
    let weights = format!("{converted}/model.safetensors");
    let config = format!("{converted}/config.json");
    for (args, inputs) in [
        (arc, vec![&tasks, &predictions, &identifiers]),
        (eval, vec![&csv, &weights, &config]),
        (folder, vec![&csv]),
        (trace, vec![&inputs, &weights, &config]),
    ] {
        for input in inputs {
            let before = fs::read(input).unwrap();
            let (hard, soft) = (path("hard"), path("soft"));
            fs::hard_link(input, &hard).unwrap();
            symlink(input, &soft).unwrap();
            let name = Path::new(input).file_name().unwrap().to_str().unwrap();
            let spelled = input.replace(
                name,
                &format!("../{}/./{name}", {
                    let parent = Path::new(input).parent().unwrap();
                    parent.file_name().unwrap().to_str().unwrap()
                }),
            );
            for output in [input, &hard, &soft, &spelled] {
                let args: Vec<&str> = args.iter().map(String::as_str).chain([&**output]).collect();
                let run = trm(&args).expect(2);
                assert!(run.err.contains("the same file"), "{}", run.err);
                assert!(fs::read(input).unwrap() == before, "{input} was changed");
            }
            fs::remove_file(hard).unwrap();
            fs::remove_file(soft).unwrap();
        }
    }
    // Standard input from the file, and standard output into it.
    let script = format!("exec \"$1\" eval '{converted}' --data - --curve '{csv}' < '{csv}'");
    assert_eq!(shell(&script, &[]).expect(2).out, "");
    for script in [
        format!("exec \"$1\" --json '{csv}' >> '{csv}'"),
        format!("exec \"$1\" eval '{converted}' --data '{csv}' >> '{csv}'"),
        format!("exec \"$1\" --json --model '{converted}' - < '{csv}' >> '{csv}'"),
        format!(
            "exec \"$1\" --json '{}' > '{}'",
            path(""),
            path("answers.ndjson")
        ),
    ] {
        let run = shell(&script, &[]).expect(2);
        assert!(
            run.err.contains("standard output is written to"),
            "{}",
            run.err
        );
    }
    assert!(fs::read(&csv).unwrap() == files[3].1);
}

#[test]
fn a_wrong_location_is_found_before_the_first_step() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("folder")).unwrap();
    scratch.file("file", "kept");
    // With so many steps, the first puzzle would not end.
    let endless = ["--max-steps", "1000000", "--no-halt"];
    let csv = data("sudoku-4x4.csv");
    let small = "tests/data/arc/small";
    let tasks = "tests/data/arc/small/tasks.json";
    let inputs = trace_input(&scratch);
    for (output, why) in [
        ("none/file", "does not exist"),
        ("folder", "is a folder"),
        ("folder/", "is a folder"),
        ("new/", "is the name of a folder"),
        ("file/file", "a directory"),
    ] {
        let output = scratch.path(output);
        let eval = ["eval", "sudoku-4x4", "--data", &csv, "--curve", &output];
        let arc = ["arc", tasks, "--model", small, "-o", &output];
        let trace = [
            "trace",
            "sudoku-4x4",
            "--steps",
            "10000",
            "--inputs",
            &inputs,
            "-o",
            &output,
        ];
        for args in [
            [&eval[..], &endless].concat(),
            [&arc[..], &endless].concat(),
            trace.into(),
        ] {
            let run = trm(&args).expect(2);
            assert!(run.err.contains(why), "{args:?}: {}", run.err);
            assert!(run.out.is_empty());
        }
    }
    for output in ["file", "file/folder"] {
        let run = trm(&["convert", "sudoku-4x4", "-o", &scratch.path(output)]).expect(2);
        assert!(run.err.contains("not a folder"), "{}", run.err);
    }
    assert_eq!(fs::read(scratch.path("file")).unwrap(), b"kept");
    assert_eq!(
        names(&scratch.path("")),
        ["file", "folder", "inputs.safetensors"]
    );
}

#[test]
fn a_read_only_folder_or_file_is_left_alone() {
    let scratch = Scratch::new();
    fs::set_permissions(scratch.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let folder = scratch.path("folder");
    fs::create_dir(&folder).unwrap();
    let file = scratch.file("folder/file", "kept");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let open = scratch.path("open");
    fs::create_dir(&open).unwrap();
    let protected = scratch.file("open/file", "kept");
    fs::set_permissions(&protected, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let writers = writers(&scratch);
    fs::set_permissions(
        scratch.path("inputs.safetensors"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    for writer in &writers {
        // The last file is read-only in a folder that is not.
        for output in [&file, &format!("{folder}/new"), &protected] {
            // Nothing is forbidden to root.
            let mut command = Command::new("setpriv");
            let inner = self::command(writer, output);
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            command.arg(inner.get_program()).args(inner.get_args());
            command.current_dir(crate::harness::repository());
            let Ok(output) = command.output() else {
                return skip("SETPRIV", "setpriv is not available");
            };
            let run = run(output);
            if run.err.contains("setpriv:") {
                return skip(
                    "SETPRIV",
                    "the user cannot be changed, or may not run the program",
                );
            }
            let run = run.expect(2);
            assert!(run.err.contains("ermission denied"), "{}", run.err);
        }
    }
    for (file, folder) in [(file, folder), (protected, open)] {
        assert_eq!(fs::read(file).unwrap(), b"kept");
        assert_eq!(names(&folder), ["file"]);
    }
}

/// A single file that is mounted, as containers do, cannot be renamed over.
#[test]
fn a_mounted_file_is_written() {
    let scratch = Scratch::new();
    let folder = scratch.path("folder");
    fs::create_dir(&folder).unwrap();
    let (host, target) = (
        scratch.path("host"),
        scratch.file("folder/target", "hidden"),
    );
    for writer in &writers(&scratch) {
        fs::write(&host, "old").unwrap();
        let script = "mount --bind \"$0\" \"$1\" || exit 77; shift; exec \"$@\"";
        let inner = command(writer, &target);
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, &host, &target]);
        command.arg(inner.get_program()).args(inner.get_args());
        command.current_dir(crate::harness::repository());
        let Ok(output) = command.output() else {
            return skip("UNSHARE", "unshare is not available");
        };
        if output.status.code() == Some(77) || output.stderr.starts_with(b"unshare:") {
            return skip("UNSHARE", "nothing can be mounted here");
        }
        run(output).expect(writer.2);
        assert!(is_result(writer, &fs::read(&host).unwrap()), "{}", writer.0);
        assert_eq!(fs::read(&target).unwrap(), b"hidden");
        assert_eq!(names(&folder), ["target"]);
    }
}

#[test]
fn a_dash_is_standard_output() {
    let scratch = Scratch::new();
    for writer in &writers(&scratch) {
        let to_file = scratch.path("result");
        write_to(writer, &to_file).expect(writer.2);
        let output = command(writer, "-").output().unwrap();
        assert_eq!(output.stdout, fs::read(&to_file).unwrap(), "{}", writer.0);
        // The table moves to standard error.
        let error = String::from_utf8(output.stderr).unwrap();
        let table = [
            ("arc", "predictions"),
            ("eval", "exact %"),
            ("trace", "wrote"),
        ];
        let title = table.iter().find(|(name, _)| *name == writer.0).unwrap().1;
        assert!(error.contains(title), "{error}");
        // Records and a file cannot share it.
        let with_json: Vec<&str> = writer.1.iter().map(String::as_str).collect();
        let run = program(&[&with_json[..], &["-", "--json"]].concat())
            .output()
            .unwrap();
        match writer.0 {
            "trace" => assert!(is_result(writer, &run.stdout)),
            _ => {
                let run = crate::harness::run(run).expect(2);
                assert!(run.out.is_empty() && run.err.contains("--json"), "{run:?}");
            }
        }
        // A file of that name has a folder in its path.
        let folder = scratch.path("here");
        fs::create_dir(&folder).unwrap();
        let named = format!("{folder}/-");
        write_to(writer, &named).expect(writer.2);
        assert!(is_result(writer, &fs::read(&named).unwrap()));
        fs::remove_dir_all(folder).unwrap();
    }
    let mut convert = program(&[
        "convert",
        &format!("{}/models/sudoku-4x4", root()),
        "-o",
        "-",
    ]);
    let folder = scratch.path("empty");
    fs::create_dir(&folder).unwrap();
    let run = finish({
        convert.current_dir(&folder);
        convert
    });
    assert!(run.expect(2).err.contains("a folder of two files"));
    assert!(names(&folder).is_empty());
}

fn root() -> String {
    crate::harness::repository().display().to_string()
}

#[test]
fn a_file_keeps_its_permissions_and_long_names_work() {
    let scratch = Scratch::new();
    let long = scratch.path(&"n".repeat(255));
    for writer in &writers(&scratch) {
        for mode in [0o600, 0o640, 0o666] {
            fs::write(&long, "old").unwrap();
            fs::set_permissions(&long, fs::Permissions::from_mode(mode)).unwrap();
            write_to(writer, &long).expect(writer.2);
            assert!(is_result(writer, &fs::read(&long).unwrap()));
            assert_eq!(fs::metadata(&long).unwrap().mode() & 0o777, mode);
        }
    }
    assert_eq!(names(&scratch.path("")).len(), 2);
}

#[test]
fn what_killed_runs_left_is_removed() {
    let scratch = Scratch::new();
    let folder = scratch.path("folder");
    fs::create_dir(&folder).unwrap();
    for writer in &writers(&scratch) {
        fs::write(format!("{folder}/.trm-00112233445566ff.part"), "left").unwrap();
        write_to(writer, &format!("{folder}/result")).expect(writer.2);
        assert_eq!(names(&folder), ["result"]);
    }
    fs::write(format!("{folder}/.trm-00112233445566ff.part"), "left").unwrap();
    trm(&["convert", "sudoku-4x4", "-o", &folder]).expect(0);
    assert_eq!(
        names(&folder),
        ["config.json", "model.safetensors", "result"]
    );
}

/// Sends a signal and waits for the end, at most twenty seconds.
fn signalled(mut child: Child, signal: &str) -> Run {
    let kill = Command::new("kill")
        .args(["-s", signal, &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success(), "{signal}");
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("{signal} did not end the program");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    run(child.wait_with_output().unwrap())
}

/// Waits until the draft of an output is there.
fn until_draft(folder: &str) {
    let start = Instant::now();
    while !names(folder).iter().any(|name| name.starts_with(".trm-")) {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "no draft was made"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn slow_arc(output: &str, steps: &str) -> Child {
    program(&[
        "arc",
        "tests/data/arc/small/tasks.json",
        "--model",
        "tests/data/arc/small",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--batch",
        "1",
        "--max-steps",
        steps,
        "-o",
        output,
    ])
    .spawn()
    .unwrap()
}

#[test]
fn an_interrupted_arc_run_replaces_no_file() {
    let scratch = Scratch::new();
    let folder = scratch.path("");
    let output = scratch.file("keep.json", "{\"finished\": []}");
    for signal in ["INT", "TERM", "HUP"] {
        // The first puzzle does not end.
        let child = slow_arc(&output, "1000000");
        until_draft(&folder);
        std::thread::sleep(Duration::from_millis(300));
        let run = signalled(child, signal).expect(130);
        assert!(
            run.err.contains("nothing was written"),
            "{signal}: {}",
            run.err
        );
        assert_eq!(fs::read(&output).unwrap(), b"{\"finished\": []}");
        assert_eq!(names(&folder), ["keep.json"]);
    }
}

#[test]
fn an_interrupted_arc_run_says_what_is_missing() {
    let scratch = Scratch::new();
    let folder = scratch.path("");
    let output = scratch.path("keep.json");
    // How many predictions there are depends on the machine.
    for milliseconds in [500, 1000, 2000, 4000, 8000] {
        let child = slow_arc(&output, "300");
        until_draft(&folder);
        std::thread::sleep(Duration::from_millis(milliseconds));
        let run = signalled(child, "TERM").expect(130);
        if !run.err.contains("nothing was written") {
            assert!(
                run.err.contains("test inputs have no prediction"),
                "{}",
                run.err
            );
            assert!(run.err.contains("keep.json: stopped"), "{}", run.err);
            break;
        }
    }
    let first = fs::read(&output).expect("some predictions");
    let child = slow_arc(&output, "300");
    until_draft(&folder);
    std::thread::sleep(Duration::from_millis(8000));
    let run = signalled(child, "TERM").expect(130);
    assert!(run.err.contains("keep.json is unchanged"), "{}", run.err);
    assert_eq!(fs::read(&output).unwrap(), first);
    assert_eq!(names(&folder), ["keep.json", "keep.json.partial"]);
    // A finished run replaces both.
    let arc = writers(&scratch).swap_remove(0);
    write_to(&arc, &output).expect(1);
    assert!(is_result(&arc, &fs::read(&output).unwrap()));
    assert!(!Path::new(&scratch.path("keep.json.partial")).exists());
}

#[test]
fn an_interrupted_plot_replaces_no_file() {
    let scratch = Scratch::new();
    let output = scratch.file("curve.svg", "finished");
    let csv = data("sudoku-4x4.csv");
    let child = program(&[
        "eval",
        "sudoku-4x4",
        "--data",
        &csv,
        "--max-steps",
        "1000000",
        "--no-halt",
        "--curve",
        &output,
    ])
    .spawn()
    .unwrap();
    until_draft(&scratch.path(""));
    std::thread::sleep(Duration::from_millis(300));
    let run = signalled(child, "TERM").expect(130);
    assert!(run.err.contains("no plot"), "{}", run.err);
    assert_eq!(fs::read(&output).unwrap(), b"finished");
    assert_eq!(names(&scratch.path("")), ["curve.svg"]);
}

#[test]
fn an_interrupted_trace_leaves_nothing() {
    let scratch = Scratch::new();
    let inputs = trace_input(&scratch);
    let output = scratch.file("out", "finished");
    for signal in ["INT", "TERM", "HUP"] {
        let child = program(&[
            "trace",
            "sudoku-4x4",
            "--steps",
            "10000",
            "--threads",
            "1",
            "--inputs",
            &inputs,
            "-o",
            &output,
        ])
        .spawn()
        .unwrap();
        until_draft(&scratch.path(""));
        signalled(child, signal).expect(130);
        assert_eq!(fs::read(&output).unwrap(), b"finished");
        assert_eq!(names(&scratch.path("")), ["inputs.safetensors", "out"]);
    }
}

/// A stream that waits for its second puzzle.
fn stream(script: &str) -> (Child, std::process::ChildStdin) {
    use std::io::{BufRead, BufReader, Write};
    let args = strings(&["--model", "models/sudoku-4x4", "--json", "-"]);
    let mut command = shell_command(script, &args);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{PUZZLE}").unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(1, &mut out)
        .read_line(&mut line)
        .unwrap();
    assert!(line.contains("answer"), "{line}");
    child.stdout = Some(out);
    (child, stdin)
}

#[test]
fn term_and_hup_end_a_stream_with_its_summary() {
    for signal in ["INT", "TERM", "HUP"] {
        // `trap -` alone does not help if the tests run under nohup.
        let (child, stdin) = stream("exec env --default-signal=HUP \"$@\"");
        let run = signalled(child, signal).expect(130);
        assert_eq!(run.summary()["puzzles"], 1, "{signal}");
        drop(stdin);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn under_nohup_a_stream_goes_on() {
    let (child, stdin) = stream("trap '' HUP; exec \"$@\"");
    let kill = Command::new("kill")
        .args(["-s", "HUP", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    std::thread::sleep(Duration::from_millis(300));
    drop(stdin);
    let run = run(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(run.summary()["puzzles"], 1);
}

#[test]
fn a_closed_standard_output_is_an_error() {
    let scratch = Scratch::new();
    let csv = data("sudoku-4x4.csv");
    let full = scratch.path("full");
    let mut redirections = vec![">&-".to_owned(), "1</dev/null".to_owned()];
    if device(&full, "7") {
        redirections.push(format!(">'{full}'"));
    }
    let arc = &writers(&scratch)[0];
    let arc = [&arc.1[..], &[scratch.path("out")]].concat();
    for args in [
        strings(&["--json", &csv]),
        strings(&[&csv]),
        strings(&["eval", "sudoku-4x4", "--data", &csv]),
        strings(&["inspect", "sudoku-4x4"]),
        strings(&["devices", "--json"]),
        strings(&["completions", "bash"]),
        strings(&["man"]),
        strings(&["--help"]),
        strings(&["arc", "--help"]),
        strings(&["--version"]),
        strings(&[
            "convert",
            "sudoku-4x4",
            "--json",
            "-o",
            &scratch.path("model"),
        ]),
        arc,
    ] {
        for redirection in &redirections {
            let run = shell(&format!("exec \"$@\" {redirection}"), &args).expect(2);
            assert!(
                run.err.contains("standard output"),
                "{args:?} {redirection}: {}",
                run.err
            );
        }
        let quiet = shell("exec \"$@\" >/dev/null", &args);
        assert!(
            [Some(0), Some(1)].contains(&quiet.code),
            "{args:?}: {quiet:?}"
        );
    }
    // Nothing is printed there.
    let args = strings(&["convert", "sudoku-4x4", "-o", &scratch.path("model")]);
    shell("exec \"$@\" >&-", &args).expect(0);
    // A program that has read enough is no error.
    let run = shell("\"$@\" | head -c 10; true", &strings(&["--json", &csv])).expect(0);
    assert!(run.err.is_empty(), "{}", run.err);
}

/// Each datagram is one write.
#[test]
fn every_record_is_written_at_once() {
    let id = "i".repeat(1000);
    let input = format!("{{\"id\":\"{id}\",\"puzzle\":\"{PUZZLE}\"}}\nbroken\n").repeat(3);
    let scratch = Scratch::new();
    let file = scratch.file("puzzles.ndjson", input);
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let mut command = program(&["--json", "--steps", &file]);
    let mut child = command.stdout(OwnedFd::from(theirs)).spawn().unwrap();
    drop(command);
    ours.set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let (mut buffer, mut kinds) = (vec![0; 1 << 16], Vec::new());
    while kinds.last().is_none_or(|kind| kind != "summary") {
        let read = ours.recv(&mut buffer).unwrap();
        let record: serde_json::Value =
            serde_json::from_slice(&buffer[..read]).expect("a whole record");
        assert_eq!(buffer[read - 1], b'\n');
        kinds.push(record["type"].as_str().unwrap().to_owned());
    }
    assert!(kinds.len() >= 10, "{kinds:?}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn convert_never_overwrites_what_it_reads() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name);
    let real = path("real");
    trm(&["convert", &model("sudoku-4x4"), "-o", &real]).expect(0);
    let read = |name: &str| fs::read(format!("{real}/{name}")).unwrap();
    let before = ["model.safetensors", "config.json"].map(read);
    for (folder, make) in [
        (
            "soft",
            (|from: &str, to: &str| symlink(from, to)) as fn(&str, &str) -> _,
        ),
        ("hard", |from, to| fs::hard_link(from, to)),
    ] {
        fs::create_dir(path(folder)).unwrap();
        for name in ["model.safetensors", "config.json"] {
            make(
                &format!("{real}/{name}"),
                &format!("{}/{name}", path(folder)),
            )
            .unwrap();
        }
    }
    // Only the configuration is the same file.
    fs::create_dir(path("config")).unwrap();
    symlink(format!("{real}/config.json"), path("config/config.json")).unwrap();
    symlink("real", path("folder")).unwrap();
    for (from, to) in [
        ("soft", "real"),
        ("hard", "real"),
        ("real", "soft"),
        ("real", "hard"),
        ("real", "real"),
        ("real", "folder"),
        ("real/model.safetensors", "soft/../real"),
        ("real", "config"),
    ] {
        let run = trm(&["convert", &path(from), "-o", &path(to), "--dtype", "int8"]).expect(2);
        assert!(
            run.err.contains("the same file") || run.err.contains("the directory of the model"),
            "{from} to {to}: {}",
            run.err
        );
        assert!(
            ["model.safetensors", "config.json"].map(read) == before,
            "{from} to {to}"
        );
    }
    let config = format!("{real}/config.json");
    let other = path("other");
    trm(&["convert", &model("sudoku-4x4"), "-o", &other]).expect(0);
    let run = trm(&["convert", &other, "--config", &config, "-o", &real]).expect(2);
    assert!(run.err.contains("the same file"), "{}", run.err);
}

#[test]
fn convert_changes_both_files_or_none() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name);
    let folder = path("model");
    let convert =
        |args: &[&str]| trm(&[&["convert", &model("sudoku-4x4"), "-o", &folder], args].concat());
    convert(&[]).expect(0);
    let before = fs::read(path("model/model.safetensors")).unwrap();
    let config = fs::read(path("model/config.json")).unwrap();
    let restore = || {
        fs::write(path("model/config.json"), &config).unwrap();
    };
    // A folder, a pipe, and a link to the other file in place of the configuration.
    for make in [
        (|p: &str| fs::create_dir(p).unwrap()) as fn(&str),
        |p| assert!(Command::new("mkfifo").arg(p).status().unwrap().success()),
        |p| symlink("model.safetensors", p).unwrap(),
    ] {
        fs::remove_file(path("model/config.json")).unwrap();
        make(&path("model/config.json"));
        convert(&["--dtype", "int8"]).expect(2);
        assert!(fs::read(path("model/model.safetensors")).unwrap() == before);
        assert_eq!(names(&folder), ["config.json", "model.safetensors"]);
        let _ = fs::remove_file(path("model/config.json"));
        let _ = fs::remove_dir(path("model/config.json"));
        restore();
    }
    // Links stay links, dangling ones too.
    fs::create_dir(path("linked")).unwrap();
    fs::create_dir(path("blobs")).unwrap();
    symlink("../blobs/w", path("linked/model.safetensors")).unwrap();
    symlink("../blobs/c", path("linked/config.json")).unwrap();
    for dtype in ["f32", "int8"] {
        let linked = path("linked");
        trm(&[
            "convert",
            &model("sudoku-4x4"),
            "-o",
            &linked,
            "--dtype",
            dtype,
        ])
        .expect(0);
        assert!(
            fs::symlink_metadata(path("linked/config.json"))
                .unwrap()
                .is_symlink()
        );
        trm(&["inspect", &path("linked")]).expect(0);
    }
    assert_eq!(names(&path("blobs")), ["c", "w"]);
    // A new folder is not left behind empty.
    let never = path("never");
    trm(&[
        "convert",
        &model("sudoku-4x4"),
        "-o",
        &never,
        "--puzzle-ids",
        "0",
    ])
    .expect(2);
    assert!(!Path::new(&never).exists());
}

#[test]
fn a_configuration_of_another_model_is_an_error() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name);
    for (name, cycles) in [("one", "L_cycles=1"), ("six", "L_cycles=6")] {
        trm(&["convert", "sudoku-4x4", "--set", cycles, "-o", &path(name)]).expect(0);
    }
    trm(&["convert", "maze-10x10", "-o", &path("maze")]).expect(0);
    let mixed = path("mixed");
    fs::create_dir(&mixed).unwrap();
    fs::copy(
        path("six/model.safetensors"),
        path("mixed/model.safetensors"),
    )
    .unwrap();
    fs::copy(path("one/config.json"), path("mixed/config.json")).unwrap();
    for command in ["inspect", "check"] {
        let run = trm(&[command, &mixed, "--device", "cpu"]).expect(2);
        for part in [
            "L_cycles is 1 in",
            "config.json",
            "but 6 in",
            "model.safetensors",
            "remove",
            "--set L_cycles=6",
        ] {
            assert!(run.err.contains(part), "{part}: {}", run.err);
        }
    }
    // Every way out that the message names.
    trm(&["inspect", &mixed, "--set", "L_cycles=6"]).expect(0);
    let config = path("six/config.json");
    trm(&["inspect", &mixed, "--config", &config]).expect(0);
    // Another size, too.
    fs::copy(path("maze/config.json"), path("mixed/config.json")).unwrap();
    let run = trm(&["inspect", &mixed]).expect(2);
    assert!(run.err.contains("different models"), "{}", run.err);
    fs::remove_file(path("mixed/config.json")).unwrap();
    let run = trm(&["inspect", &mixed, "--json"]).expect(0);
    assert_eq!(run.json()[0]["config"]["L_cycles"], 6);
    // What only config.json says is no contradiction, nor is what it leaves out.
    let text = String::from_utf8(fs::read(path("six/config.json")).unwrap()).unwrap();
    let mut all: serde_json::Value = serde_json::from_str(&text).unwrap();
    all["note"] = "mine".into();
    all.as_object_mut().unwrap().remove("halt_max_steps");
    fs::write(path("six/config.json"), all.to_string()).unwrap();
    trm_with(&["--model", &path("six"), "-"], PUZZLE.as_bytes()).expect(0);
}
