//! Solves a Sudoku with a bundled model: `cargo run --example solve [-- PUZZLE]`.

use trm_runtime::Solver;

const PUZZLE: &str =
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";

fn main() -> trm_runtime::Result<()> {
    let puzzle = std::env::args()
        .nth(1)
        .unwrap_or(PUZZLE.to_string())
        .parse()?;

    let solver = Solver::bundled("sudoku-9x9")?;
    let answer = solver.solve(&puzzle)?;

    println!("{}", answer.cells);
    match answer.reason {
        None => println!("solved, steps: {}, time: {:.1?}", answer.steps, answer.time),
        Some(why) => println!("not solved after {} steps: {why}", answer.steps),
    }
    Ok(())
}
