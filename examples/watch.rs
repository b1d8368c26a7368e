//! Prints every refinement step of two puzzles in one batch: `cargo run --example watch`.

use trm_runtime::{HaltRule, Puzzle, Solver};

const EASY: &str =
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
const HARD: &str =
    "..............3.85..1.2.......5.7.....4...1...9.......5......73..2.1........4...9";

fn main() -> trm_runtime::Result<()> {
    let puzzles: Vec<Puzzle> = [EASY, HARD]
        .iter()
        .map(|puzzle| puzzle.parse())
        .collect::<trm_runtime::Result<_>>()?;
    let solver = Solver::builder()
        .halt_rule(HaltRule::Verified)
        .max_steps(16)
        .bundled("sudoku-9x9")?;

    let mut session = solver.session(&puzzles)?;
    for step in session.steps() {
        for p in &step?.puzzles {
            let changed = p.changed.len();
            println!(
                "puzzle {} step {:>2}  halt {:.2}  {changed:>2} changed  {}",
                p.id, p.step, p.halt_probability, p.cells
            );
            if let Some(end) = &p.outcome {
                println!(
                    "puzzle {} ends: valid {:?}, halted {}",
                    p.id, end.valid, end.halted
                );
            }
        }
    }
    Ok(())
}
