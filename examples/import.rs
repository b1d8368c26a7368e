//! Opens a folder that training wrote, and describes the model:
//! `cargo run --example import -- FOLDER [PUZZLE]`.

use trm_runtime::{LoadOptions, Model, Solver};

fn main() -> trm_runtime::Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap_or("models/sudoku-6x6".to_string());
    let model = Model::open(&folder, &LoadOptions::default())?;

    println!(
        "{folder}: {}, {} tensors",
        model.config.variant.name(),
        model.tensors.len()
    );
    for p in &model.provenance {
        println!("  {:<22} {:<8} {}", p.name, p.value.to_string(), p.from);
    }
    if let Some(puzzle) = args.next() {
        let solver = Solver::builder().build(model)?;
        let answer = solver.solve(&puzzle.parse()?)?;
        println!(
            "{} (valid: {:?}, {} steps)",
            answer.cells, answer.valid, answer.steps
        );
    }
    Ok(())
}
