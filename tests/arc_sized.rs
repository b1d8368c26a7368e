//! A checkpoint with a puzzle embedding of ARC's size, 876,406 x 512 or 1.8 GB, opens and runs in megabytes of memory.
#![cfg(all(target_os = "linux", feature = "cli"))]

mod common;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::Noise;
use serde_json::{Map, json};

const ROWS: usize = 876_406;
const WIDTH: usize = 512;
const D: usize = 64;
const IDENTIFIER: usize = 876_000;

/// A sparse file: the embedding takes no room on the disk but for the row in use.
fn write_model(directory: &Path) {
    let mut tensors: Vec<(String, Vec<usize>)> = vec![
        ("H_init".into(), vec![D]),
        ("L_init".into(), vec![D]),
        ("embed_tokens.embedding_weight".into(), vec![12, D]),
        ("lm_head.weight".into(), vec![12, D]),
        ("q_head.weight".into(), vec![2, D]),
        ("q_head.bias".into(), vec![2]),
    ];
    let block = "L_level.layers.0.";
    for (name, shape) in [
        ("self_attn.qkv_proj", [3 * D, D]),
        ("self_attn.o_proj", [D, D]),
        ("mlp.gate_up_proj", [512, D]),
        ("mlp.down_proj", [D, 256]),
    ] {
        tensors.push((format!("{block}{name}.weight"), shape.to_vec()));
    }
    tensors.push(("puzzle_emb.weights".into(), vec![ROWS, WIDTH]));
    let (mut header, mut at) = (Map::new(), 0);
    for (name, shape) in &tensors {
        let end = at + 4 * shape.iter().product::<usize>();
        header.insert(
            name.clone(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]}),
        );
        at = end;
    }
    let text = serde_json::to_vec(&header).unwrap();
    let mut file = File::create(directory.join("model.safetensors")).unwrap();
    file.write_all(&(text.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&text).unwrap();
    let mut noise = Noise(11);
    let bytes = |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<_>>();
    let (embedding, trunk) = tensors.split_last().unwrap();
    for (_, shape) in trunk {
        file.write_all(&bytes(noise.values(shape.iter().product())))
            .unwrap();
    }
    let start = file.stream_position().unwrap();
    file.seek(SeekFrom::Start(start + (4 * WIDTH * IDENTIFIER) as u64))
        .unwrap();
    file.write_all(&bytes(noise.values(WIDTH))).unwrap();
    file.set_len(start + 4 * embedding.1.iter().product::<usize>() as u64)
        .unwrap();

    let config = "arch:\n  H_cycles: 1\n  L_cycles: 1\n  num_heads: 2\n  expansion: 4\n  pos_encodings: rope\n  \
                  puzzle_emb_ndim: 512\n  puzzle_emb_len: 16\n  no_ACT_continue: true\n";
    std::fs::write(directory.join("all_config.yaml"), config).unwrap();
}

/// The names of its puzzles, 26 MB, as the training pipeline writes them.
fn write_identifiers(directory: &Path) {
    let name = |i: usize| match i {
        0 => "\"<blank>\"".to_string(),
        IDENTIFIER => "\"007bbfb7\"".to_string(),
        _ => format!("\"{i:08x}|||t{}|||0123456789\"", i % 8),
    };
    let text = (0..ROWS).map(name).collect::<Vec<_>>().join(",");
    std::fs::write(directory.join("identifiers.json"), format!("[{text}]")).unwrap();
}

/// Runs the program; its output, and the most memory that it held, in MB.
fn run(model: &Path, puzzle: &str) -> (std::process::Output, u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_trm-run"))
        .args(["-", "--json", "--max-steps", "1", "--model"])
        .arg(model)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(puzzle.as_bytes()).unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("VmHWM:"))
            .unwrap_or("0 kB");
        most = most.max(line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024);
        std::thread::sleep(Duration::from_millis(2));
    }
    (child.wait_with_output().unwrap(), most)
}

#[test]
fn an_arc_sized_checkpoint_runs_one_task_in_under_100_mb() {
    let directory = tempfile::tempdir().unwrap();
    write_model(directory.path());
    write_identifiers(directory.path());
    let model = directory.path().join("model.safetensors");
    assert!(std::fs::metadata(&model).unwrap().len() > 1_790_000_000);

    let task = r#"{"id": "007bbfb7", "train": [], "test": [{"input": [[7, 0, 7], [7, 0, 7], [7, 7, 0]]}]}"#;
    let (output, most) = run(&model, task);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("\"task\":\"arc\""), "{text}");
    assert!((5..100).contains(&most), "{most} MB");

    let (output, most) = run(&model, &task.replace("007bbfb7", "ffffffff"));
    assert_eq!(output.status.code(), Some(2), "a task that it has never seen");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("ffffffff is not among"),
        "{output:?}"
    );
    assert!(most < 100, "{most} MB");
}
