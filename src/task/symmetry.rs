//! Symmetries of a kind of puzzle: other puzzles that are solved when this one is.

use super::encoded::EncodedPuzzle;
use crate::random::Random;

/// Another arrangement of a puzzle's cells, and other tokens for its tokens, under which a right answer stays one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symmetry {
    /// For each cell of the relabelled puzzle the cell of the puzzle that it is.
    cells: Vec<usize>,
    /// What each token becomes.
    tokens: Vec<u32>,
}

impl Symmetry {
    /// Cell i of the relabelled puzzle is cell `cells[i]` of the puzzle, token t becomes `tokens[t]`; tokens beyond stay. `None` if either is no
    /// permutation.
    pub fn new(cells: Vec<usize>, tokens: Vec<u32>) -> Option<Symmetry> {
        let permutes = |list: &mut Vec<usize>| {
            list.sort_unstable();
            list.iter().copied().eq(0..list.len())
        };
        let permuted =
            permutes(&mut cells.clone()) && permutes(&mut tokens.iter().map(|&t| t as usize).collect());
        permuted.then_some(Symmetry { cells, tokens })
    }

    /// The cells of an n x n grid, turned or mirrored, for [`Symmetry::new`]: bit 0 of `kind` exchanges top and bottom, bit 1 left and right,
    /// bit 2 then rows and columns. 0 leaves all where they are; 1 to 7 are the other symmetries of a square.
    pub fn turned(n: usize, kind: usize) -> Vec<usize> {
        let flip = |i: usize, bit: usize| if kind & bit != 0 { n - 1 - i } else { i };
        let cell = |cell: usize| match (flip(cell / n, 1), flip(cell % n, 2)) {
            (row, col) if kind & 4 != 0 => col * n + row,
            (row, col) => row * n + col,
        };
        (0..n * n).map(cell).collect()
    }

    /// The puzzle, of as many cells, in the other arrangement. It has neither a solution nor another text.
    pub fn apply(&self, problem: &EncodedPuzzle) -> EncodedPuzzle {
        let token = |&cell: &usize| map(&self.tokens, problem.tokens[cell]);
        EncodedPuzzle {
            tokens: self.cells.iter().map(token).collect(),
            solution: None,
            ..problem.clone()
        }
    }

    /// An answer to the relabelled puzzle as one to the puzzle itself, `[S]`.
    pub fn undo(&self, answer: &[u32]) -> Vec<u32> {
        let mut back: Vec<u32> = vec![0; self.tokens.len()];
        for (token, &becomes) in (0..).zip(&self.tokens) {
            back[becomes as usize] = token;
        }
        let mut original = vec![0; answer.len()];
        for (&cell, &token) in self.cells.iter().zip(answer) {
            original[cell] = map(&back, token);
        }
        original
    }
}

fn map(tokens: &[u32], token: u32) -> u32 {
    tokens.get(token as usize).copied().unwrap_or(token)
}

/// An order of n lines in which the lines of a band of `band` stay together.
pub(super) fn lines(n: usize, band: usize, random: &mut Random) -> Vec<usize> {
    let mut bands: Vec<Vec<usize>> = (0..n).collect::<Vec<_>>().chunks(band).map(Vec::from).collect();
    bands.iter_mut().for_each(|band| random.shuffle(band));
    random.shuffle(&mut bands);
    bands.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Maze, Puzzle, Sudoku, Task, TokenSpec};

    /// A solved puzzle stays solved, one with a wrong cell does not, and the answer comes back.
    fn check(task: &dyn Task, puzzle: &str, solution: &str, vocab_size: usize) {
        let space = TokenSpec {
            vocab_size,
            seq_len: None,
            num_puzzle_identifiers: 0,
        };
        let mut puzzle: Puzzle = puzzle.parse().unwrap();
        puzzle.solution = Some(solution.parse::<Puzzle>().unwrap().cells);
        let problem = task.encode(&puzzle, &space).unwrap();
        let answer = problem.solution.clone().unwrap();
        let whole = |tokens: &[u32]| EncodedPuzzle {
            tokens: tokens.to_vec(),
            ..problem.clone()
        };
        let mut seen = std::collections::HashSet::new();
        for seed in 0..200 {
            let symmetry = task.random_symmetry(&problem, &mut Random::new(seed)).unwrap();
            let (relabelled, solved) = (symmetry.apply(&problem), symmetry.apply(&whole(&answer)).tokens);
            assert_eq!(task.verify(&relabelled, &solved).valid, Some(true), "seed {seed}");
            assert_eq!(symmetry.undo(&solved), answer);
            assert_eq!(symmetry.undo(&relabelled.tokens), problem.tokens);
            let mut wrong = solved.clone();
            wrong.swap(0, 1);
            assert_eq!(
                task.verify(&problem, &symmetry.undo(&wrong)).valid,
                task.verify(&relabelled, &wrong).valid
            );
            seen.insert(relabelled.tokens);
        }
        assert!(seen.len() >= 7, "{} kinds", seen.len());
    }

    #[test]
    fn symmetries_keep_the_rules() {
        check(&Sudoku::default(), "0000020440102103", "3421123443122143", 6);
        let six = (
            "006001000065000010360052540020002000",
            "256341134265425613361452543126612534",
        );
        check(&Sudoku::default(), six.0, six.1, 8);
        let maze = "#####\n#S  #\n# # #\n# #G#\n#####";
        let solved = "#####\n#Soo#\n# #o#\n# #G#\n#####";
        check(&Maze, maze, solved, 6);
    }

    #[test]
    fn what_is_no_permutation_is_refused() {
        assert!(Symmetry::new(vec![0, 2], vec![]).is_none());
        assert!(Symmetry::new(vec![1, 0], vec![0, 1, 1]).is_none());
        assert!(Symmetry::new(vec![1, 0], vec![1, 0]).is_some());
    }
}
