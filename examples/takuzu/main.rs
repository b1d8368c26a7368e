//! A kind of puzzle of one's own: Takuzu. `cargo run --example takuzu`, or with a puzzle and a model of your own as arguments.

use std::sync::Arc;
use trm::random::Random;
use trm::task::{Content, Problem, Relabelling, Space, Task, Verdict};
use trm::{Effort, Error, ErrorKind, Puzzle, Result, Solver};

const PUZZLE: &str = ".1...0 ..0... 11.... ...... ...... ..1.1.";
const SIDE: usize = 6;
/// The character of each token; no puzzle has the first, which is padding.
const CELLS: [char; 4] = ['?', '.', '0', '1'];
const BLANK: u32 = 1;
const ZERO: u32 = 2;
const ONE: u32 = 3;

#[derive(Debug)]
pub(crate) struct Takuzu;

impl Task for Takuzu {
    fn name(&self) -> &str {
        "takuzu"
    }

    fn encode(&self, puzzle: &Puzzle, _: &Space) -> Result<Problem> {
        let text = puzzle.content.to_string().replace([' ', '\n'], "");
        let token = |c| (BLANK..).zip(&CELLS[1..]).find(|(_, cell)| **cell == c);
        let tokens: Vec<u32> = text.chars().filter_map(|c| Some(token(c)?.0)).collect();
        if tokens.len() != SIDE * SIDE || text.chars().count() != tokens.len() {
            let why = "a Takuzu has 36 cells: 0, 1 or . for a blank one";
            return Err(Error::new(ErrorKind::Puzzle, why));
        }
        Ok(Problem::new(puzzle, tokens, SIDE, SIDE))
    }

    fn decode(&self, _: &Problem, answer: &[u32]) -> Content {
        let row = |row: &[u32]| {
            row.iter()
                .map(|&token| CELLS.get(token as usize).unwrap_or(&'?'))
                .collect()
        };
        Content::Rows(answer.chunks(SIDE).map(row).collect())
    }

    fn verify(&self, problem: &Problem, answer: &[u32]) -> Verdict {
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

    /// Turned, mirrored, or with the digits exchanged: what `Effort` tries.
    fn relabelling(&self, _: &Problem, random: &mut Random) -> Option<Relabelling> {
        let kind = 1 + random.below(15);
        let flip = |i: usize, bit: usize| if kind & bit != 0 { SIDE - 1 - i } else { i };
        let cell = |cell: usize| {
            let (row, column) = (flip(cell / SIDE, 1), flip(cell % SIDE, 2));
            if kind & 4 != 0 {
                column * SIDE + row
            } else {
                row * SIDE + column
            }
        };
        let digits = if kind & 8 != 0 {
            vec![0, BLANK, ONE, ZERO]
        } else {
            vec![]
        };
        Relabelling::new((0..SIDE * SIDE).map(cell).collect(), digits)
    }

    fn verifies_by_rules(&self) -> bool {
        true
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let puzzle: Puzzle = args.next().unwrap_or(PUZZLE.to_string()).parse()?;
    let solver = match args.next() {
        Some(model) => Solver::open(model)?,
        None => Solver::from_bytes(include_bytes!("model/model.safetensors"))?, // as an app carries it
    };
    let effort = Effort {
        starts: 8,
        ..Effort::default()
    };
    let answer = solver.task(Arc::new(Takuzu)).effort(effort).solve(&puzzle)?;
    println!("{}", answer.answer);
    match answer.why {
        None => println!("solved in {} steps", answer.steps),
        Some(why) => println!("not solved after {} steps: {why}", answer.steps),
    }
    Ok(())
}
