//! Puzzles in tables: a header that names the columns, then a puzzle a line.

use super::text;
use crate::error::{Error, Result};
use crate::task::puzzle::{Cells, Id, Puzzle};

/// Which column holds what.
#[derive(Debug)]
pub(crate) struct Columns {
    count: usize,
    puzzle: usize,
    solution: Option<usize>,
    id: Option<usize>,
    task: Option<usize>,
    puzzle_id: Option<usize>,
}

/// The names of the column of puzzles.
const PUZZLE: [&str; 5] = ["puzzle", "maze", "question", "quizzes", "sudoku"];
/// The names of the column of solutions.
const SOLUTION: [&str; 3] = ["solution", "answer", "solutions"];

/// Whether the first line of an input is a table's: no puzzle in plain text has a comma.
pub(crate) fn is_header(line: &str) -> bool {
    let line = line.trim();
    match line.as_bytes().first() {
        Some(b'{' | b'[') => false,
        Some(b'"') => Columns::of(line).is_ok(),
        _ => line.contains(',') || PUZZLE.iter().any(|name| line.eq_ignore_ascii_case(name)),
    }
}

impl Columns {
    /// The columns that a header names.
    pub(crate) fn of(header: &str) -> Result<Columns> {
        let names = fields(header)?;
        let find = |wanted: &[&str]| {
            names.iter().position(|name| {
                wanted
                    .iter()
                    .any(|wanted| name.trim().eq_ignore_ascii_case(wanted))
            })
        };
        let puzzle = find(&PUZZLE).ok_or_else(|| {
            Error::puzzle(
                "a table begins with a line that names its columns, as `puzzle,solution` or `maze,solution`",
            )
        })?;
        Ok(Columns {
            count: names.len(),
            puzzle,
            solution: find(&SOLUTION),
            id: find(&["id"]),
            task: find(&["task"]),
            puzzle_id: find(&["puzzle_id"]),
        })
    }

    /// The puzzle of a line.
    pub(crate) fn puzzle(&self, line: &str) -> Result<Puzzle> {
        let fields = fields(line)?;
        if fields.len() != self.count {
            return Err(Error::puzzle(format!(
                "the line has {} fields, the header {}; a field with a comma in it needs quotes around it",
                fields.len(),
                self.count
            )));
        }
        let field = |column: Option<usize>| column.and_then(|i| fields.get(i)).map(String::as_str);
        let cells = |text: &str, name: &str| -> Result<Cells> {
            text::content(text).bounded().map_err(|e| e.context(name))
        };
        let given = |column: Option<usize>| field(column).map(str::trim).filter(|text| !text.is_empty());
        let puzzle_id = given(self.puzzle_id).map(str::parse).transpose();
        Ok(Puzzle {
            id: given(self.id).map(id),
            cells: cells(field(Some(self.puzzle)).unwrap_or_default(), "the puzzle")?,
            solution: field(self.solution)
                .filter(|text| !text.trim().is_empty())
                .map(|text| cells(text, "the solution"))
                .transpose()?,
            task: given(self.task).map(str::to_owned),
            puzzle_id: puzzle_id
                .map_err(|_| Error::puzzle("must be a whole number from 0").context("`puzzle_id`"))?,
        })
    }
}

/// A number, if it is written as one would print it: `007` is a name.
fn id(text: &str) -> Id {
    match text.parse::<u64>() {
        Ok(number) if number.to_string() == text => Id::Number(number),
        _ => Id::Text(text.to_owned()),
    }
}

/// The fields of a line; `"` surrounds a field, `""` in it stands for `"`. A quoted field ends on its line, so that a
/// broken line breaks no other.
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

/// The field that begins after a quote, and what comes behind the closing one.
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
