//! Symmetries: transformations that map puzzles to puzzles.

use super::encoded::EncodedPuzzle;
use crate::random::Random;

/// A permutation of the cells and of the tokens that maps valid answers to valid answers.
///
/// Multi-start solves several symmetric copies of one puzzle and maps their answers back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symmetry {
    /// The source of each cell: cell i of the transformed puzzle is cell `cells[i]` of the puzzle.
    cells: Vec<usize>,
    /// The image of each token: token t becomes `tokens[t]`.
    tokens: Vec<u32>,
}

impl Symmetry {
    /// Creates a symmetry: cell i of the transformed puzzle is cell `cells[i]` of the puzzle, and
    /// token t becomes `tokens[t]`. Tokens from `tokens.len()` on stay as they are.
    ///
    /// Returns `None` if `cells` or `tokens` is not a permutation.
    pub fn new(cells: Vec<usize>, tokens: Vec<u32>) -> Option<Self> {
        let is_permutation = |list: &mut Vec<usize>| {
            list.sort_unstable();
            list.iter().copied().eq(0..list.len())
        };
        let valid = is_permutation(&mut cells.clone())
            && is_permutation(&mut tokens.iter().map(|&t| t as usize).collect());
        valid.then_some(Self { cells, tokens })
    }

    /// Returns the cells of an n x n grid, rotated or mirrored, for [`Symmetry::new`].
    ///
    /// Bit 0 of `kind` swaps top and bottom, bit 1 swaps left and right, and bit 2 then transposes.
    /// `kind` 0 is the identity; 1 to 7 are the other symmetries of a square.
    pub fn turned(n: usize, kind: usize) -> Vec<usize> {
        let flip = |i: usize, bit: usize| if kind & bit != 0 { n - 1 - i } else { i };
        let cell = |cell: usize| match (flip(cell / n, 1), flip(cell % n, 2)) {
            (row, col) if kind & 4 != 0 => col * n + row,
            (row, col) => row * n + col,
        };
        (0..n * n).map(cell).collect()
    }

    /// Returns the transformed puzzle. It has no solution, and its `cells` stay as they were
    /// written.
    ///
    /// # Panics
    /// If the puzzle has fewer cells than the symmetry.
    pub fn apply(&self, puzzle: &EncodedPuzzle) -> EncodedPuzzle {
        let token = |&cell: &usize| map_token(&self.tokens, puzzle.tokens[cell]);
        EncodedPuzzle {
            tokens: self.cells.iter().map(token).collect(),
            solution: None,
            ..puzzle.clone()
        }
    }

    /// Maps an answer of the transformed puzzle back to an answer of the puzzle, `[S]`.
    pub fn undo(&self, answer: &[u32]) -> Vec<u32> {
        let mut inverse: Vec<u32> = vec![0; self.tokens.len()];
        for (token, &image) in (0..).zip(&self.tokens) {
            inverse[image as usize] = token;
        }
        let mut original = vec![0; answer.len()];
        for (&cell, &token) in self.cells.iter().zip(answer) {
            original[cell] = map_token(&inverse, token);
        }
        original
    }
}

fn map_token(tokens: &[u32], token: u32) -> u32 {
    tokens.get(token as usize).copied().unwrap_or(token)
}

/// Returns a random order of n rows or columns in which each band of `band` lines stays together.
pub(super) fn shuffle_lines(n: usize, band: usize, random: &mut Random) -> Vec<usize> {
    let mut bands: Vec<Vec<usize>> = (0..n)
        .collect::<Vec<_>>()
        .chunks(band)
        .map(Vec::from)
        .collect();
    bands.iter_mut().for_each(|band| random.shuffle(band));
    random.shuffle(&mut bands);
    bands.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Maze, Puzzle, Sudoku, Task, TokenSpec};

    /// A solved puzzle stays solved, a wrong answer stays wrong, and `undo` restores the answer.
    fn check(task: &dyn Task, puzzle: &str, solution: &str, vocab_size: usize) {
        let spec = TokenSpec {
            vocab_size,
            seq_len: None,
            num_puzzle_identifiers: 0,
        };
        let mut puzzle: Puzzle = puzzle.parse().unwrap();
        puzzle.solution = Some(solution.parse::<Puzzle>().unwrap().cells);
        let encoded = task.encode(&puzzle, &spec).unwrap();
        let answer = encoded.solution.clone().unwrap();
        let with_tokens = |tokens: &[u32]| EncodedPuzzle {
            tokens: tokens.to_vec(),
            ..encoded.clone()
        };
        let mut seen = std::collections::HashSet::new();
        for seed in 0..200 {
            let symmetry = task
                .random_symmetry(&encoded, &mut Random::new(seed))
                .unwrap();
            let transformed = symmetry.apply(&encoded);
            let solved = symmetry.apply(&with_tokens(&answer)).tokens;
            assert_eq!(
                task.verify(&transformed, &solved).valid,
                Some(true),
                "seed {seed}"
            );
            assert_eq!(symmetry.undo(&solved), answer);
            assert_eq!(symmetry.undo(&transformed.tokens), encoded.tokens);
            let mut wrong = solved.clone();
            wrong.swap(0, 1);
            assert_eq!(
                task.verify(&encoded, &symmetry.undo(&wrong)).valid,
                task.verify(&transformed, &wrong).valid
            );
            seen.insert(transformed.tokens);
        }
        assert!(seen.len() >= 7, "{} kinds", seen.len());
    }

    #[test]
    fn symmetries_keep_the_rules() {
        check(
            &Sudoku::default(),
            "0000020440102103",
            "3421123443122143",
            6,
        );
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
    fn lists_that_are_not_permutations_are_rejected() {
        assert!(Symmetry::new(vec![0, 2], vec![]).is_none());
        assert!(Symmetry::new(vec![1, 0], vec![0, 1, 1]).is_none());
        assert!(Symmetry::new(vec![1, 0], vec![1, 0]).is_some());
    }
}
