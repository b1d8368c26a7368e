//! Boards as text and in files.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;

use serde_json::{Map, Value, json};
use trm::task::{Content, Id, Records};

use super::{Board, Kind};

/// The largest file or text that is read: the library's own limit of a document.
pub const MAX_BYTES: usize = 8 << 20;

/// What is said to who brings nothing.
const TAKEN: &str = "a Sudoku is 16, 36 or 81 digits with 0 or . for blanks; a maze is rows of # and blanks with one S and one G; JSON \
                     and ARC task files are read too";

/// The first puzzle of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The puzzle.
    pub board: Board,
    /// Whether others follow, which are not looked at.
    pub more: bool,
}

/// The first puzzle of a text; `name` is the file's, for messages and as the name of an ARC task, or empty.
///
/// # Errors
/// What is wrong with the text, and what is taken.
pub fn find(text: &str, name: &str) -> Result<Found, String> {
    let named = |why: String| {
        if name.is_empty() {
            why
        } else {
            format!("{name}: {why}")
        }
    };
    if text.len() > MAX_BYTES {
        return Err(named(too_large()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(named(format!("there is nothing in it; {TAKEN}")));
    }
    if let Some(content) = digits(text).or_else(|| maze(text)) {
        let board = Board::of_puzzle(&content.into()).map_err(named)?;
        return Ok(Found { board, more: false });
    }
    let mut records = Records::new(Cursor::new(text.to_owned()), name);
    let Some(first) = records.next() else {
        return Err(named(format!("there is no puzzle in it; {TAKEN}")));
    };
    let first = first.map_err(|e| e.to_string())?;
    let board = Board::of_puzzle(&first.puzzle).map_err(|why| match first.line {
        Some(line) if line > 1 => named(format!("line {line}: {why}")),
        _ => named(why),
    })?;
    Ok(Found {
        board,
        more: records.next().is_some(),
    })
}

/// The first puzzle of a file.
///
/// # Errors
/// If the file cannot be read, is larger than [`MAX_BYTES`], or holds no puzzle.
pub fn find_file(path: &Path) -> Result<Found, String> {
    let at = |why: String| format!("{}: {why}", path.display());
    // A pipe would wait for its writer, a device may never end.
    if !fs::metadata(path).map_err(|e| at(e.to_string()))?.is_file() {
        return Err(at("is not a file".into()));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|e| at(e.to_string()))?;
    if bytes.len() > MAX_BYTES {
        return Err(at(too_large()));
    }
    let text = String::from_utf8(bytes).map_err(|_| at(format!("is not text (UTF-8); {TAKEN}")))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    find(&text, &name)
}

fn too_large() -> String {
    format!("is larger than {} MiB, the most that is read", MAX_BYTES >> 20)
}

/// A Sudoku whose lines need not be its rows.
fn digits(text: &str) -> Option<Content> {
    let mut cells = String::new();
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        if !(c == '.' || c.is_ascii_digit()) || cells.len() == 81 {
            return None;
        }
        cells.push(c);
    }
    [16, 36, 81]
        .contains(&cells.len())
        .then_some(Content::Text(cells))
}

/// A square maze of one row a line, whose rows may have lost the blanks at their ends: many a program cuts them off.
fn maze(text: &str) -> Option<Content> {
    let known = text.chars().all(|c| "# SGo\r\n".contains(c));
    if !known || !text.contains(['#', 'S', 'G']) {
        return None;
    }
    let mut rows: Vec<&str> = text.lines().collect();
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    // Empty lines around it are none of its rows, unless it needs them.
    while rows.len() > width && rows.last().is_some_and(|row| row.is_empty()) {
        rows.pop();
    }
    let above = rows.iter().take_while(|row| row.is_empty()).count();
    rows.drain(..above.min(rows.len().saturating_sub(width)));
    (rows.len() == width && width > 1)
        .then(|| Content::Rows(rows.iter().map(|row| format!("{row:width$}")).collect()))
}

/// See [`Board::to_text`].
pub(super) fn print(board: &Board) -> String {
    let puzzle = board.to_puzzle();
    match board.kind() {
        Kind::Sudoku { .. } => puzzle.content.to_string(),
        Kind::Maze { .. } => format!("{}\n", puzzle.content),
        Kind::Arc { .. } => format!("{}\n", Value::Object(arc(board))),
    }
}

fn arc(board: &Board) -> Map<String, Value> {
    let mut task = Map::new();
    let name = board.about.task.clone().map(Id::Text);
    let id = match &board.about.id {
        Some(Id::Number(number)) => Some(Id::Number(*number)),
        id => name.or(id.clone()),
    };
    if let Some(id) = id {
        task.insert("id".into(), id.to_json());
    }
    if let Some(row) = board.about.puzzle_id {
        task.insert("puzzle_id".into(), row.into());
    }
    let train = board.about.train.iter();
    let train: Vec<Value> = train
        .map(|(input, output)| json!({ "input": input, "output": output }))
        .collect();
    task.insert("train".into(), train.into());
    let mut test = Map::from_iter([("input".to_owned(), json!(board.grid().to_rows()))]);
    if let Some(solution) = board.solution() {
        test.insert("output".into(), json!(solution.to_rows()));
    }
    task.insert("test".into(), json!([test]));
    task
}
