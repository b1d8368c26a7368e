//! Puzzles in CSV tables: a header that names the columns, then one puzzle per line.

use super::text;
use crate::error::{Error, Result};
use crate::task::puzzle::{Cells, Id, Puzzle};

/// The columns of a table by their meaning.
#[derive(Debug)]
pub(crate) struct Columns {
    /// The number of columns.
    count: usize,
    puzzle: usize,
    solution: Option<usize>,
    id: Option<usize>,
    task: Option<usize>,
    puzzle_id: Option<usize>,
}

/// The accepted names of the column of puzzles.
const PUZZLE_NAMES: [&str; 5] = ["puzzle", "maze", "question", "quizzes", "sudoku"];
/// The accepted names of the column of solutions.
const SOLUTION_NAMES: [&str; 3] = ["solution", "answer", "solutions"];

/// Returns whether the first line of an input is the header of a table. A puzzle in plain text has
/// no comma.
pub(crate) fn is_header(line: &str) -> bool {
    let line = line.trim();
    match line.as_bytes().first() {
        Some(b'{' | b'[') => false,
        Some(b'"') => Columns::parse(line).is_ok(),
        _ => {
            line.contains(',')
                || PUZZLE_NAMES
                    .iter()
                    .any(|name| line.eq_ignore_ascii_case(name))
        }
    }
}

impl Columns {
    /// Parses a header.
    ///
    /// # Errors
    /// If no column has puzzles.
    pub(crate) fn parse(header: &str) -> Result<Self> {
        let names = fields(header)?;
        let find = |accepted: &[&str]| {
            names.iter().position(|name| {
                accepted
                    .iter()
                    .any(|accepted| name.trim().eq_ignore_ascii_case(accepted))
            })
        };
        let puzzle = find(&PUZZLE_NAMES).ok_or_else(|| {
            Error::puzzle(
                "the first line of a table must name its columns, for example `puzzle,solution` or \
                 `maze,solution`",
            )
        })?;
        Ok(Self {
            count: names.len(),
            puzzle,
            solution: find(&SOLUTION_NAMES),
            id: find(&["id"]),
            task: find(&["task"]),
            puzzle_id: find(&["puzzle_id"]),
        })
    }

    /// Parses the puzzle of a line.
    ///
    /// # Errors
    /// If the line does not have the columns of the header, or if a field is malformed.
    pub(crate) fn parse_line(&self, line: &str) -> Result<Puzzle> {
        let fields = fields(line)?;
        if fields.len() != self.count {
            return Err(Error::puzzle(format!(
                "the line has {} fields, but the header has {}: a field with a comma needs quotes",
                fields.len(),
                self.count
            )));
        }
        let field = |column: Option<usize>| column.and_then(|i| fields.get(i)).map(String::as_str);
        let cells = |text: &str, name: &str| -> Result<Cells> {
            text::parse_cells(text)
                .bounded()
                .map_err(|e| e.context(name))
        };
        let non_empty =
            |column: Option<usize>| field(column).map(str::trim).filter(|text| !text.is_empty());
        let puzzle_id = non_empty(self.puzzle_id).map(str::parse).transpose();
        Ok(Puzzle {
            id: non_empty(self.id).map(id),
            cells: cells(field(Some(self.puzzle)).unwrap_or_default(), "the puzzle")?,
            solution: field(self.solution)
                .filter(|text| !text.trim().is_empty())
                .map(|text| cells(text, "the solution"))
                .transpose()?,
            task: non_empty(self.task).map(str::to_owned),
            puzzle_id: puzzle_id
                .map_err(|_| Error::puzzle("must be a whole number from 0"))
                .map_err(|e| e.context("`puzzle_id`"))?,
        })
    }
}

/// Parses an identifier. It is a number only in its usual form: `007` is a name.
fn id(text: &str) -> Id {
    match text.parse::<u64>() {
        Ok(number) if number.to_string() == text => Id::Number(number),
        _ => Id::Text(text.to_owned()),
    }
}

/// Splits a line into fields. A field may be quoted with `"`, and `""` in it stands for `"`.
///
/// A quoted field must end on its line, so that a malformed line does not affect other lines.
fn fields(line: &str) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                (field.to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => {
                return Err(Error::puzzle(
                    "a quoted field is followed by something that is not a comma",
                ));
            }
        }
    }
}

/// Returns the quoted field that starts after its opening quote, and the text after its closing
/// quote.
fn quoted_field(mut rest: &str) -> Result<(String, &str)> {
    let mut field = String::new();
    loop {
        let (part, after) = rest
            .split_once('"')
            .ok_or_else(|| Error::puzzle("a quote is not closed on its line"))?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_at_commas_outside_of_quotes() {
        let table: [(&str, Option<&[&str]>); 9] = [
            ("", Some(&[""])),
            ("a", Some(&["a"])),
            (" a ,b", Some(&[" a ", "b"])),
            (",", Some(&["", ""])),
            ("\"a,b\",c", Some(&["a,b", "c"])),
            ("\"a\"\"b\",\"\"", Some(&["a\"b", ""])),
            ("a\"b,c", Some(&["a\"b", "c"])),
            ("\"a", None),
            ("\"a\"b,c", None),
        ];
        for (line, expected) in table {
            match (fields(line), expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, expected, "{line}"),
                (Err(_), None) => {}
                (found, expected) => panic!("{line}: {found:?}, not {expected:?}"),
            }
        }
    }
}
