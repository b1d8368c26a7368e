//! Your own kind of puzzle, Takuzu: `cargo run --example takuzu [-- PUZZLE [MODEL]]`.

use std::sync::Arc;
use trm_runtime::low_level::random::Random;
use trm_runtime::task::{Cells, EncodedPuzzle, Symmetry, Task, TokenSpec, Verdict};
use trm_runtime::{MultiStart, Puzzle, Result, Solver};

const PUZZLE: &str = ".1...0 ..0... 11.... ...... ...... ..1.1.";
const SIDE: usize = 6;
/// The character of each token. The first token is padding, which no puzzle contains.
const CELLS: &str = "?.01";
const BLANK: u32 = 1;
const ZERO: u32 = 2;
const ONE: u32 = 3;

#[derive(Debug)]
pub(crate) struct Takuzu;

impl Task for Takuzu {
    fn name(&self) -> &str {
        "takuzu"
    }

    fn encode(&self, puzzle: &Puzzle, space: &TokenSpec) -> Result<EncodedPuzzle> {
        EncodedPuzzle::from_chars(puzzle, space, CELLS, SIDE, SIDE)
    }

    fn decode(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Cells {
        problem.to_chars(answer, CELLS)
    }

    fn verify(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Verdict {
        let mut givens = problem.tokens.iter().zip(answer);
        if givens.any(|(given, cell)| *given != BLANK && given != cell) {
            return Verdict::wrong("a given digit was changed");
        }
        let rows: Vec<Vec<u32>> = answer.chunks(SIDE).map(<[u32]>::to_vec).collect();
        let column = |c: usize| rows.iter().map(|row| row[c]).collect();
        let columns: Vec<Vec<u32>> = (0..SIDE).map(column).collect();
        for lines in [rows, columns] {
            for (i, line) in lines.iter().enumerate() {
                let half = |digit| line.iter().filter(|&&cell| cell == digit).count() == SIDE / 2;
                let three = line.windows(3).any(|w| w[0] == w[1] && w[1] == w[2]);
                if !half(ZERO) || !half(ONE) || three || lines[..i].contains(line) {
                    return Verdict::wrong(format!("row or column {} breaks a rule", i + 1));
                }
            }
        }
        Verdict::right()
    }

    /// Rotates or mirrors the grid, or exchanges the digits. `MultiStart` uses these copies.
    fn random_symmetry(&self, _: &EncodedPuzzle, random: &mut Random) -> Option<Symmetry> {
        let kind = 1 + random.below(15);
        let exchanged = (kind / 8) as u32;
        let digits = vec![0, BLANK, ZERO ^ exchanged, ONE ^ exchanged];
        Symmetry::new(Symmetry::turned(SIDE, kind), digits)
    }

    fn verifies_by_rules(&self) -> bool {
        true
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let puzzle: Puzzle = args.next().unwrap_or(PUZZLE.to_string()).parse()?;
    let builder = Solver::builder()
        .task(Arc::new(Takuzu))
        .multi_start(MultiStart::new(8));
    let solver = match args.next() {
        Some(model) => builder.open(model)?,
        // The program includes the model, as an app would.
        None => builder.from_bytes(include_bytes!("model/model.safetensors"))?,
    };
    let answer = solver.solve(&puzzle)?;
    println!("{}", answer.cells);
    match answer.reason {
        None => println!("solved in {} steps", answer.steps),
        Some(reason) => println!("not solved after {} steps: {reason}", answer.steps),
    }
    Ok(())
}
