//! A checkpoint with a puzzle embedding of 876,406 x 512 (1.8 GB), as for ARC, runs in little
//! memory.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Map, json};

use crate::harness::{Noise, Run, program, run};

const ROWS: usize = 876_406;
const WIDTH: usize = 512;
const D: usize = 64;
const IDENTIFIER: usize = 876_000;

/// Writes a sparse file: the embedding takes no disk space except for the row in use.
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
    let (embedding, trunk) = tensors.split_last().unwrap();
    for (_, shape) in trunk {
        file.write_all(&noise.bytes(shape.iter().product()))
            .unwrap();
    }
    let start = file.stream_position().unwrap();
    file.seek(SeekFrom::Start(start + (4 * WIDTH * IDENTIFIER) as u64))
        .unwrap();
    file.write_all(&noise.bytes(WIDTH)).unwrap();
    file.set_len(start + 4 * embedding.1.iter().product::<usize>() as u64)
        .unwrap();

    let config = "arch:\n  H_cycles: 1\n  L_cycles: 1\n  num_heads: 2\n  expansion: 4\n  pos_encodings: rope\n  \
                  puzzle_emb_ndim: 512\n  puzzle_emb_len: 16\n  no_ACT_continue: true\n";
    std::fs::write(directory.join("all_config.yaml"), config).unwrap();
}

/// Writes the names of its puzzles (26 MB) as the training pipeline does.
fn write_identifiers(directory: &Path) {
    let name = |i: usize| match i {
        0 => "\"<blank>\"".to_string(),
        IDENTIFIER => "\"007bbfb7\"".to_string(),
        _ => format!("\"{i:08x}|||t{}|||0123456789\"", i % 8),
    };
    let text = (0..ROWS).map(name).collect::<Vec<_>>().join(",");
    std::fs::write(directory.join("identifiers.json"), format!("[{text}]")).unwrap();
}

/// Runs the program on a puzzle. Returns its output and its peak memory in MB.
fn measured(model: &str, puzzle: &str) -> (Run, u64) {
    let mut child = program(&["-", "--json", "--max-steps", "1", "--model", model])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(puzzle.as_bytes())
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("VmHWM:"))
            .unwrap_or("0 kB");
        most = most.max(
            line.trim()
                .trim_end_matches(" kB")
                .trim()
                .parse::<u64>()
                .unwrap()
                / 1024,
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    (run(child.wait_with_output().unwrap()), most)
}

#[test]
fn an_arc_sized_checkpoint_runs_one_task_in_under_100_mb() {
    let directory = tempfile::tempdir().unwrap();
    write_model(directory.path());
    write_identifiers(directory.path());
    let model = directory.path().join("model.safetensors");
    assert!(std::fs::metadata(&model).unwrap().len() > 1_790_000_000);

    let task = r#"{"id": "007bbfb7", "train": [], "test": [{"input": [[7, 0, 7], [7, 0, 7], [7, 7, 0]]}]}"#;
    let model = model.to_str().unwrap();
    let (run, most) = measured(model, task);
    let run = run.expect(0);
    assert!(run.out.contains("\"task\":\"arc\""), "{run:#?}");
    assert!((5..100).contains(&most), "{most} MB");

    // A task that it has never seen.
    let (run, most) = measured(model, &task.replace("007bbfb7", "ffffffff"));
    let run = run.expect(2);
    assert!(run.err.contains("ffffffff is not among"), "{run:#?}");
    assert!(most < 100, "{most} MB");
}
