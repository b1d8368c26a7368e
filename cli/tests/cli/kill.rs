//! Runs that are killed, and runs that race: no mixture of two models, no lost file, and nothing
//! left behind that a later run does not remove.
//!
//! Ten rounds of each; `.ci/long kill` runs 200 and prints what happened.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use trm_runtime::low_level::config::State;
use trm_runtime::{LoadOptions, Model};

use crate::harness::{Scratch, model, program, read, trm};
use crate::long::long;

fn rounds() -> u32 {
    if long() { 200 } else { 10 }
}

/// Writes two models with the same shapes. In model K all values of `H_init` and `L_cycles` are K.
fn models(scratch: &Scratch) -> [String; 2] {
    ["1", "6"].map(|k| {
        let folder = scratch.path(k);
        let cycles = format!("L_cycles={k}");
        trm(&[
            "convert",
            &model("sudoku-4x4"),
            "--set",
            &cycles,
            "-o",
            &folder,
        ])
        .expect(0);
        let file = format!("{folder}/model.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        assert_eq!(header["H_init"]["dtype"], "F32", "{header}");
        let [start, end] = [0, 1]
            .map(|i| 8 + length + header["H_init"]["data_offsets"][i].as_u64().unwrap() as usize);
        let value = k.parse::<f32>().unwrap().to_le_bytes();
        bytes[start..end].as_chunks_mut::<4>().0.fill(value);
        fs::write(&file, bytes).unwrap();
        folder
    })
}

/// Returns K of the model in a folder, which must load and must not be a mixture.
fn which(folder: &str) -> usize {
    let model = Model::open(folder, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let weights = model.initial(State::H)[0];
    assert_eq!(
        weights, model.config.l_cycles as f32,
        "a mixture of two models"
    );
    model.config.l_cycles
}

fn convert(from: &str, to: &str) -> Child {
    program(&["convert", from, "-o", to, "-q"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn is_leftover(name: &&String) -> bool {
    name.starts_with('.')
}

fn signal(child: &Child, name: &str) {
    // It may have ended.
    let _ = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .stderr(Stdio::null())
        .status();
}

/// The time of a run, over which the signals are spread.
fn duration(mut run: impl FnMut() -> Child) -> Duration {
    let start = Instant::now();
    for _ in 0..3 {
        run().wait().unwrap();
    }
    start.elapsed() / 3
}

/// Counts how often something happened.
fn count(counts: &mut BTreeMap<String, u32>, what: impl Into<String>) {
    *counts.entry(what.into()).or_default() += 1;
}

fn killed_converts(name: &str) {
    let scratch = Scratch::new();
    let models = models(&scratch);
    let folder = scratch.path("out");
    let time = duration(|| convert(&models[0], &folder));
    let mut counts = BTreeMap::new();
    for round in 0..rounds() {
        let old = which(&folder);
        let next = &models[usize::from(old == 1)];
        let mut child = convert(next, &folder);
        // From the start of the process to a little beyond its usual end.
        std::thread::sleep(time * 5 * round / (4 * rounds()));
        signal(&child, name);
        let status = child.wait().unwrap();
        let new = which(&folder);
        count(
            &mut counts,
            if new == old {
                "the model before"
            } else {
                "the new model"
            },
        );
        let left = names(&folder).iter().filter(is_leftover).count();
        count(&mut counts, format!("{left} files left"));
        if name == "TERM" {
            assert!(
                [Some(0), Some(130), None].contains(&status.code()),
                "{status}"
            );
        }
    }
    convert(&models[0], &folder).wait().unwrap();
    assert_eq!(which(&folder), 1, "{name}");
    assert_eq!(
        names(&folder),
        ["config.json", "model.safetensors"],
        "{name}"
    );
    eprintln!("convert, {} x {name}: {counts:?}", rounds());
}

#[test]
fn a_killed_convert_leaves_one_model() {
    killed_converts("KILL");
}

#[test]
fn a_terminated_convert_leaves_one_model() {
    killed_converts("TERM");
}

#[test]
fn converts_that_race_leave_one_model() {
    let scratch = Scratch::new();
    let models = models(&scratch);
    let folder = scratch.path("out");
    convert(&models[0], &folder).wait().unwrap();
    let (mut counts, mut reads) = (BTreeMap::new(), 0);
    for round in 0..rounds() {
        let mut children = [0, 1].map(|i| convert(&models[(round as usize + i) % 2], &folder));
        // A third run reads the folder meanwhile.
        while children
            .iter_mut()
            .any(|child| child.try_wait().unwrap().is_none())
        {
            which(&folder);
            reads += 1;
        }
        for child in &mut children {
            assert!(child.wait().unwrap().success());
        }
        count(&mut counts, which(&folder).to_string());
        assert_eq!(names(&folder), ["config.json", "model.safetensors"]);
    }
    eprintln!(
        "convert, {} races, opened {reads} times meanwhile: {counts:?}",
        rounds()
    );
}

fn killed_arc(name: &str) {
    let scratch = Scratch::new();
    let folder = scratch.path("out");
    fs::create_dir(&folder).unwrap();
    let output = format!("{folder}/submission.json");
    let arc = || {
        program(&[
            "arc",
            "tests/data/arc/challenges.json",
            "--predictions",
            "tests/data/arc/predictions.safetensors",
            "--identifiers",
            "tests/data/arc/identifiers.json",
            "-q",
            "-o",
            &output,
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
    };
    let time = duration(arc);
    let finished = fs::read(&output).unwrap();
    let old = b"{\"before\": []}";
    let expected: serde_json::Value =
        serde_json::from_slice(&read("tests/data/arc/expected.json")).unwrap();
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&finished).unwrap(),
        expected["submission"],
        "{name}"
    );
    let mut counts = BTreeMap::new();
    for round in 0..rounds() {
        fs::write(&output, old).unwrap();
        let mut child = arc();
        std::thread::sleep(time * 5 * round / (4 * rounds()));
        signal(&child, name);
        child.wait().unwrap();
        let found = fs::read(&output).unwrap();
        assert!(
            found == old || found == finished,
            "{}",
            String::from_utf8_lossy(&found)
        );
        count(
            &mut counts,
            if found == old {
                "the file before"
            } else {
                "the new file"
            },
        );
        let left = names(&folder).iter().filter(is_leftover).count();
        count(&mut counts, format!("{left} files left"));
    }
    arc().wait().unwrap();
    assert_eq!(names(&folder), ["submission.json"], "{name}");
    assert!(fs::read(&output).unwrap() == finished, "{name}");
    eprintln!("arc, {} x {name}: {counts:?}", rounds());
}

#[test]
fn a_killed_arc_run_leaves_a_whole_file() {
    killed_arc("KILL");
}

#[test]
fn a_terminated_arc_run_leaves_a_whole_file() {
    killed_arc("TERM");
}
