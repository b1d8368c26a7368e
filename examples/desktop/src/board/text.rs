//! Boards as text: reading puzzles from text and files, and writing them.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;

use serde_json::{Map, Value, json};
use trm_runtime::task::{Cells, Id, Records};

use super::{Board, Kind};

/// The maximum size of a file or text. It is the library's limit for documents.
pub const MAX_PUZZLE_BYTES: usize = 8 << 20;

/// The accepted forms, for messages about texts without a puzzle.
const ACCEPTED_FORMS: &str = "expected 16, 36 or 81 digits (0 or . for blanks), \
    a maze of # and blanks with one S and one G, JSON, or an ARC task file";

/// The first puzzle of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstPuzzle {
    /// The puzzle.
    pub board: Board,
    /// Whether more puzzles follow. They are ignored.
    pub has_more: bool,
}

/// Reads the first puzzle of a text.
///
/// `name` is the name of the file, or empty. It is used in messages and as the name of an ARC task.
///
/// # Errors
/// If the text holds no valid puzzle. The message says what is wrong and which forms are accepted.
pub fn read_first(text: &str, name: &str) -> Result<FirstPuzzle, String> {
    let with_name = |reason: String| match name {
        "" => reason,
        name => format!("{name}: {reason}"),
    };
    if text.len() > MAX_PUZZLE_BYTES {
        return Err(with_name(too_large()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(with_name(format!("the text is empty; {ACCEPTED_FORMS}")));
    }
    if let Some(content) = digits(text).or_else(|| maze(text)) {
        let board = Board::from_puzzle(&content.into()).map_err(with_name)?;
        return Ok(FirstPuzzle {
            board,
            has_more: false,
        });
    }
    let mut records = Records::new(Cursor::new(text.to_owned()), name);
    let Some(first) = records.next() else {
        return Err(with_name(format!("no puzzle found; {ACCEPTED_FORMS}")));
    };
    let first = first.map_err(|e| e.to_string())?;
    let board = Board::from_puzzle(&first.puzzle).map_err(|reason| match first.line {
        Some(line) if line > 1 => with_name(format!("line {line}: {reason}")),
        _ => with_name(reason),
    })?;
    Ok(FirstPuzzle {
        board,
        has_more: records.next().is_some(),
    })
}

/// Reads the first puzzle of a file.
///
/// # Errors
/// If the file cannot be read, is larger than [`MAX_PUZZLE_BYTES`], or holds no puzzle.
pub fn read_first_in_file(path: &Path) -> Result<FirstPuzzle, String> {
    let with_path = |reason: String| format!("{}: {reason}", path.display());
    // Reading a pipe would block, and a device may never end.
    if !fs::metadata(path)
        .map_err(|e| with_path(e.to_string()))?
        .is_file()
    {
        return Err(with_path("is not a file".into()));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| {
            file.take(MAX_PUZZLE_BYTES as u64 + 1)
                .read_to_end(&mut bytes)
        })
        .map_err(|e| with_path(e.to_string()))?;
    if bytes.len() > MAX_PUZZLE_BYTES {
        return Err(with_path(too_large()));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| with_path(format!("is not text (UTF-8); {ACCEPTED_FORMS}")))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    read_first(&text, &name)
}

fn too_large() -> String {
    format!("is larger than {} MiB, the maximum", MAX_PUZZLE_BYTES >> 20)
}

/// Reads a Sudoku as digits. Its line breaks may be anywhere.
fn digits(text: &str) -> Option<Cells> {
    let mut cells = String::new();
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        if !(c == '.' || c.is_ascii_digit()) || cells.len() == 81 {
            return None;
        }
        cells.push(c);
    }
    [16, 36, 81]
        .contains(&cells.len())
        .then_some(Cells::Text(cells))
}

/// Reads a square maze, one row per line. Blanks at the ends of lines may be missing, because many
/// editors remove them.
fn maze(text: &str) -> Option<Cells> {
    let is_maze = text.chars().all(|c| "# SGo\r\n".contains(c));
    if !is_maze || !text.contains(['#', 'S', 'G']) {
        return None;
    }
    let mut rows: Vec<&str> = text.lines().collect();
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    // Empty lines around the maze are not rows, unless the maze needs them to be square.
    while rows.len() > width && rows.last().is_some_and(|row| row.is_empty()) {
        rows.pop();
    }
    let above = rows.iter().take_while(|row| row.is_empty()).count();
    rows.drain(..above.min(rows.len().saturating_sub(width)));
    (rows.len() == width && width > 1)
        .then(|| Cells::Rows(rows.iter().map(|row| format!("{row:width$}")).collect()))
}

/// Writes a board. See [`Board::to_text`].
pub(super) fn print(board: &Board) -> String {
    let puzzle = board.to_puzzle();
    match board.kind() {
        Kind::Sudoku { .. } => puzzle.cells.to_string(),
        Kind::Maze { .. } => format!("{}\n", puzzle.cells),
        Kind::Arc { .. } => format!("{}\n", Value::Object(arc(board))),
    }
}

/// Returns the JSON object of an ARC task.
fn arc(board: &Board) -> Map<String, Value> {
    let mut task = Map::new();
    let name = board.metadata.task.clone().map(Id::Text);
    let id = match &board.metadata.id {
        Some(Id::Number(number)) => Some(Id::Number(*number)),
        id => name.or(id.clone()),
    };
    if let Some(id) = id {
        task.insert("id".into(), id.to_json());
    }
    if let Some(row) = board.metadata.puzzle_id {
        task.insert("puzzle_id".into(), row.into());
    }
    let train = board.metadata.train.iter();
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
