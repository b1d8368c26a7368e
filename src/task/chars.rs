//! Puzzles whose cells are characters: encoding and decoding for the task of an app.

use super::common::puzzle_row;
use super::{Cells, EncodedPuzzle, Puzzle, TokenSpec};
use crate::error::{Error, Result};

impl EncodedPuzzle {
    /// Encodes a puzzle of `rows` x `cols` cells, each of which is one character.
    ///
    /// Token t stands for character t of `chars`, counted from 0. Character 0 stands for padding
    /// and cannot be a cell. White space that is not in `chars` is ignored. The solution, if given,
    /// is encoded in the same way.
    ///
    /// # Errors
    /// An error of kind [`Puzzle`](crate::ErrorKind::Puzzle) if the number of cells is wrong, if a
    /// character is not in `chars`, or if the model has no row `puzzle_id`.
    pub fn from_chars(
        puzzle: &Puzzle,
        spec: &TokenSpec,
        chars: &str,
        rows: usize,
        cols: usize,
    ) -> Result<Self> {
        let read = |content: &Cells| {
            let text = content.to_string();
            let cells = text
                .chars()
                .filter(|c| chars.contains(*c) || !c.is_whitespace());
            let token = |cell| (0..).zip(chars.chars()).skip(1).find(|(_, c)| *c == cell);
            let tokens: Option<Vec<u32>> = cells.map(|cell| Some(token(cell)?.0)).collect();
            tokens
                .filter(|tokens| tokens.len() == rows * cols)
                .ok_or_else(|| {
                    let known: String = chars.chars().skip(1).collect();
                    Error::puzzle(format!(
                        "expected {} cells, {rows} rows of {cols}, each one of {known:?}",
                        rows * cols
                    ))
                })
        };
        Ok(Self {
            solution: puzzle.solution.as_ref().map(read).transpose()?,
            puzzle_id: puzzle_row(puzzle, spec)?.unwrap_or(0),
            ..Self::new(puzzle, read(&puzzle.cells)?, rows, cols)
        })
    }

    /// Decodes an answer into the characters of [`EncodedPuzzle::from_chars`], one string per row.
    ///
    /// A token without a character becomes `?`.
    pub fn to_chars(&self, answer: &[u32], chars: &str) -> Cells {
        let char_of = |&token: &u32| chars.chars().nth(token as usize).unwrap_or('?');
        let row = |row: &[u32]| row.iter().map(char_of).collect();
        Cells::Rows(answer.chunks(self.cols.max(1)).map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: TokenSpec = TokenSpec {
        vocab_size: 4,
        seq_len: Some(6),
        num_puzzle_identifiers: 2,
    };

    fn read(text: &str, chars: &str) -> Result<EncodedPuzzle> {
        EncodedPuzzle::from_chars(&text.parse()?, &SPEC, chars, 2, 3)
    }

    #[test]
    fn cells_are_read_and_written() {
        let encoded = read("ab.\n.ba", "?.ab").unwrap();
        assert_eq!((encoded.rows, encoded.cols), (2, 3));
        assert_eq!(encoded.tokens, [2, 3, 1, 1, 3, 2]);
        let answer = encoded.to_chars(&[2, 3, 0, 9, 3, 2], "?.ab");
        assert_eq!(answer, Cells::Rows(vec!["ab?".into(), "?ba".into()]));
        // A space that is a cell.
        assert_eq!(read("#  \n # ", "? #").unwrap().tokens, [2, 1, 1, 1, 2, 1]);
    }

    #[test]
    fn a_solution_and_a_row_of_the_embedding_are_read() {
        let mut puzzle: Puzzle = "ab..ba".parse().unwrap();
        puzzle.solution = Some("abaaba".parse::<Puzzle>().unwrap().cells);
        puzzle.puzzle_id = Some(1);
        let read = |puzzle: &Puzzle| EncodedPuzzle::from_chars(puzzle, &SPEC, "?.ab", 2, 3);
        let encoded = read(&puzzle).unwrap();
        assert_eq!(encoded.solution.as_deref(), Some(&[2, 3, 2, 2, 3, 2][..]));
        assert_eq!(encoded.puzzle_id, 1);
        puzzle.puzzle_id = Some(2);
        assert!(
            read(&puzzle)
                .unwrap_err()
                .to_string()
                .contains("puzzle_id is 2")
        );
    }

    #[test]
    fn other_cells_are_errors() {
        for text in ["ab..b", "ab..bab", "ab..bc", "ab..b?"] {
            let error = read(text, "?.ab").unwrap_err().to_string();
            assert!(
                error.contains("6 cells") && error.contains(r#"".ab""#),
                "{error}"
            );
        }
    }
}
