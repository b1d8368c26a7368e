//! Puzzles in CSV tables: a header that names the columns, then one puzzle per line.

use super::grid;
use super::json::Json;
use super::names;
use super::symbols;
use super::text;
use crate::error::{Error, Result};
use crate::task::puzzle::{Cells, Id, Puzzle};

/// The columns of a table by their meaning.
#[derive(Debug)]
pub(crate) struct Columns {
    delimiter: char,
    /// The number of columns.
    count: usize,
    puzzle: usize,
    solution: Option<usize>,
    id: Option<usize>,
    task: Option<usize>,
    puzzle_id: Option<usize>,
}

/// The characters that separate fields, in the order in which they are tried.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// Returns whether the first line of an input is the header of a table: one of its fields is the
/// name of a puzzle, or its fields are words and no cells.
pub(crate) fn is_header(line: &str) -> bool {
    let line = line.trim();
    if line.starts_with(['{', '[', '#', '/']) {
        return false;
    }
    if Columns::parse(line).is_ok() {
        return true;
    }
    let is_word = |field: &String| {
        let field = field.trim();
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ' ' || c == '-';
        let is_cell = field.chars().count() <= 1 && grid::is_blank_field(field);
        field.chars().all(is_name) && field.starts_with(char::is_alphabetic) && !is_cell
    };
    !line.starts_with('"')
        && fields(line, ',').is_ok_and(|fields| fields.len() > 1 && fields.iter().all(is_word))
}

/// Returns whether a line starts with a quoted field and is a row of a table, not JSON.
pub(crate) fn is_quoted_row(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('"')
        && Json::parse(line).is_err()
        && DELIMITERS
            .iter()
            .any(|&delimiter| fields(line, delimiter).is_ok_and(|fields| fields.len() > 1))
}

/// Returns whether a line names the delimiter, as spreadsheets write it above a table: `sep=;`.
pub(crate) fn is_separator_line(line: &str) -> bool {
    let name = line.trim_end().get(..4);
    name.is_some_and(|name| name.eq_ignore_ascii_case("sep="))
        && line.trim_end().chars().count() <= 5
}

impl Columns {
    /// Parses a header.
    ///
    /// # Errors
    /// If no column has puzzles.
    pub(crate) fn parse(header: &str) -> Result<Self> {
        let columns = DELIMITERS
            .into_iter()
            .filter_map(|delimiter| Self::with_delimiter(header, delimiter).transpose())
            .next();
        columns.unwrap_or_else(|| {
            Err(Error::puzzle(
                "the first line of a table must name its columns, for example `puzzle,solution` or \
                 `maze,solution`",
            ))
        })
    }

    /// Parses a header with this delimiter. Returns `None` if no column has puzzles.
    fn with_delimiter(header: &str, delimiter: char) -> Result<Option<Self>> {
        let names: Vec<String> = fields(header, delimiter)?
            .into_iter()
            .map(|name| symbols::plain(&name))
            .collect();
        // The names are in the order of preference.
        let find = |accepted: &[&str]| {
            accepted.iter().find_map(|known| {
                names
                    .iter()
                    .position(|name| names::is_one_of(name, &[known]))
            })
        };
        let Some(puzzle) = find(&names::PUZZLE) else {
            return Ok(None);
        };
        Ok(Some(Self {
            delimiter,
            count: names.len(),
            puzzle,
            solution: find(&names::SOLUTION),
            id: find(&names::ID),
            task: find(&["task"]),
            puzzle_id: find(&["puzzle_id"]),
        }))
    }

    /// Returns whether a line is a comment and not a puzzle.
    pub(crate) fn is_comment(&self, line: &str) -> bool {
        symbols::is_comment(line)
            && !fields(line, self.delimiter).is_ok_and(|fields| fields.len() == self.count)
    }

    /// Parses the puzzle of a line.
    ///
    /// # Errors
    /// If the line does not have the columns of the header, or if a field is malformed.
    pub(crate) fn parse_line(&self, line: &str) -> Result<Puzzle> {
        let fields = fields(line, self.delimiter)?;
        if fields.len() != self.count {
            let delimiter = match self.delimiter {
                ',' => "comma",
                ';' => "semicolon",
                '\t' => "tab",
                _ => "bar",
            };
            return Err(Error::puzzle(format!(
                "the line has {} fields, but the header has {}: a field with a {delimiter} needs \
                 quotes",
                fields.len(),
                self.count
            )));
        }
        let field = |column: Option<usize>| column.and_then(|i| fields.get(i)).map(String::as_str);
        let cells = |text: &str, name: &str| -> Result<Cells> {
            text::parse_cells(text)
                .and_then(Cells::bounded)
                .map_err(|e| e.context(name))
        };
        let non_empty =
            |column: Option<usize>| field(column).map(str::trim).filter(|text| !text.is_empty());
        let name = |column: Option<usize>, field: &str| match non_empty(column) {
            Some(name) => match names::too_long(name) {
                Some(message) => Err(Error::puzzle(message).context(format!("`{field}`"))),
                None => Ok(Some(name)),
            },
            None => Ok(None),
        };
        // Spreadsheets write whole numbers with decimals: `3.0`.
        let whole = |text: &str| text.strip_suffix(".0").unwrap_or(text).parse();
        let puzzle_id = non_empty(self.puzzle_id).map(whole).transpose();
        Ok(Puzzle {
            id: name(self.id, "id")?.map(id),
            cells: cells(field(Some(self.puzzle)).unwrap_or_default(), "the puzzle")?,
            solution: field(self.solution)
                .filter(|text| !text.trim().is_empty())
                .map(|text| cells(text, "the solution"))
                .transpose()?,
            task: name(self.task, "task")?.map(str::to_owned),
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
fn fields(line: &str, delimiter: char) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                (field.to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(delimiter) {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => {
                return Err(Error::puzzle(format!(
                    "a quoted field is followed by something that is not {delimiter:?}"
                )));
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
            match (fields(line, ','), expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, expected, "{line}"),
                (Err(_), None) => {}
                (found, expected) => panic!("{line}: {found:?}, not {expected:?}"),
            }
        }
    }
}
