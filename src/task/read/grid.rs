//! Reads a puzzle from the lines of a grid, in any notation that has only one meaning.
//!
//! A notation is tried as a whole: it fits only if it gives n rows of n cells. So a `-` is a blank
//! in one grid and a stroke of the frame in another, and a space is a blank where nothing else is.

use super::symbols::{self, BLANKS, digit, is_frame, is_row_of_one_blank, is_separator};
use crate::error::{Error, Result};
use crate::task::puzzle::Cells;

/// The largest number of rows of a grid: that of a maze.
pub(crate) const MAX_ROWS: usize = 256;
/// The smallest number of rows of a Sudoku that is not in the standard notation.
const MIN_ROWS: usize = 4;
/// The characters between the cells of a table.
const DELIMITERS: [char; 5] = ['\t', ',', ';', '|', '&'];

/// Returns the cells of the grid in standard characters, one string for each row, or arrays where
/// digits have several characters. Returns `None` if the lines are no grid in a known notation.
///
/// The characters are plain ([`symbols::plain`]), and no line is a comment or a title.
///
/// # Errors
/// If the lines are different grids in different notations.
pub(crate) fn read(lines: &[&str]) -> Result<Option<Cells>> {
    if lines.len() > 3 * MAX_ROWS {
        return Ok(None);
    }
    if let Some(rows) = maze(lines) {
        return Ok(Some(Cells::Rows(rows)));
    }
    if lines.iter().any(|line| line.contains('#')) {
        return Ok(None);
    }
    sudoku(lines)
}

/// Returns how many rows the grid can have, judged by its first row.
pub(crate) fn row_counts(first: &str) -> Vec<usize> {
    let width = first.trim_end().chars().count();
    let count = |skip: &str| {
        first
            .chars()
            .filter(|&c| !is_separator(c) && !skip.contains(c))
            .count()
    };
    let fields = DELIMITERS.iter().flat_map(|&delimiter| {
        let fields = first.trim().split(delimiter).count();
        [fields, fields - 1, fields.saturating_sub(2)]
    });
    let mut counts: Vec<usize> = [
        width,
        width.div_ceil(2),
        count("+"),
        count("-+*"),
        count("\"'[](){},"),
    ]
    .into_iter()
    .chain(fields)
    .chain(
        first
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|n| n.parse().ok()),
    )
    .filter(|n| (2..=MAX_ROWS).contains(n))
    .collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// Returns whether a line can be the size of the grid below it: a number, or the same number twice,
/// such as `10 10` and `9x9`.
pub(crate) fn is_size(line: &str) -> bool {
    let mut numbers = line.trim().split([' ', 'x', 'X', ',', '*']);
    let is_number = |word: &str| {
        (1..=3).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(one), None, _) => is_number(one),
        (Some(rows), Some(cols), None) => is_number(rows) && rows == cols,
        _ => false,
    }
}

// Mazes.

/// Returns the rows of a maze with exactly one start and one goal, in the characters `# SGo`.
fn maze(lines: &[&str]) -> Option<Vec<String>> {
    let with_size = lines.first().is_some_and(|line| is_size(line));
    let lines = if with_size { &lines[1..] } else { lines };
    let fits = |rows: Vec<String>| maze_symbols(&fit_maze(rows)?);
    let raw = || lines.iter().map(|line| (*line).to_owned()).collect();
    fits(raw())
        .or_else(|| fits(unframed(lines)))
        .or_else(|| fits(every_second(&raw())?))
        .or_else(|| fits(every_second(&unframed(lines))?))
        .or_else(|| {
            let split = |delimiter| fits(maze_fields(lines, delimiter)?);
            DELIMITERS.into_iter().find_map(split)
        })
}

/// Returns n rows of n characters: shifts an indented maze to the left, and appends the spaces that
/// an editor removed from the ends of lines.
fn fit_maze(mut rows: Vec<String>) -> Option<Vec<String>> {
    while rows.len() > 1 && rows.last().is_some_and(|row| row.trim().is_empty()) {
        let width = rows.iter().map(|row| row.chars().count()).max()?;
        if rows.len() <= width {
            break;
        }
        rows.pop();
    }
    let n = rows.len();
    let widths: Vec<usize> = rows.iter().map(|row| row.chars().count()).collect();
    let width = *widths.iter().max()?;
    if !(2..=MAX_ROWS).contains(&n) || width < n {
        return None;
    }
    let shift = width - n;
    if shift > 0 {
        let indent = rows
            .iter()
            .filter(|row| !row.trim().is_empty())
            .map(|row| row.chars().take_while(|c| *c == ' ').count())
            .min()?;
        let ragged = widths.iter().any(|w| *w != width);
        // If blanks are missing at the right, only an indent that is just as wide is certain.
        if indent < shift || (ragged && indent > shift) {
            return None;
        }
    }
    let fit = |row: &String| {
        let cells: String = row.chars().skip(shift).collect();
        let missing = n.saturating_sub(cells.chars().count());
        cells + &" ".repeat(missing)
    };
    Some(rows.iter().map(fit).collect())
}

/// Returns the rows in the characters `# SGo`. A free cell is a space, `.`, `_`, or the 0 beside
/// walls of 1; only one of them occurs.
fn maze_symbols(rows: &[String]) -> Option<Vec<String>> {
    let cells = || rows.iter().flat_map(|row| row.chars());
    let count = |wanted: char| cells().filter(|c| *c == wanted).count();
    let goal = if count('G') == 0 { 'E' } else { 'G' };
    if count('S') != 1 || count(goal) != 1 {
        return None;
    }
    let has_numbers = count('0') + count('1') > 0;
    let frees = [' ', '.', '_', '0']
        .iter()
        .filter(|c| count(**c) > 0)
        .count();
    if frees > 1 || (has_numbers && (count('#') > 0 || count('0') == 0 || frees > 1)) {
        return None;
    }
    let map = |c: char| match c {
        '#' | ' ' | 'S' | 'G' | 'o' => Some(c),
        '.' | '_' | '0' => Some(' '),
        '1' => Some('#'),
        'E' if goal == 'E' => Some('G'),
        _ => None,
    };
    let row = |row: &String| row.chars().map(map).collect::<Option<String>>();
    rows.iter().map(row).collect()
}

/// Removes a frame: lines of `-`, `+` and `=`, and the bars at both ends of the other lines.
fn unframed(lines: &[&str]) -> Vec<String> {
    let inside = |line: &&&str| !is_frame(line);
    let bare = |line: &&str| {
        let line = line.trim();
        let inner = line
            .strip_prefix('|')
            .and_then(|rest| rest.strip_suffix('|'));
        inner.unwrap_or(line).to_owned()
    };
    lines.iter().filter(inside).map(bare).collect()
}

/// Returns every second character, if the others are spaces: `# #   S`.
fn every_second(rows: &[String]) -> Option<Vec<String>> {
    let halve = |row: &String| {
        let spaced = row.chars().skip(1).step_by(2).all(|c| c == ' ');
        spaced.then(|| row.chars().step_by(2).collect())
    };
    let halved: Option<Vec<String>> = rows.iter().map(halve).collect();
    halved.filter(|rows| rows.len() >= MIN_ROWS)
}

/// Returns the fields of each line, each of which is one cell or empty.
fn maze_fields(lines: &[&str], delimiter: char) -> Option<Vec<String>> {
    let lines = lines.iter().filter(|line| !line.trim().is_empty());
    let row = |line: &&str| {
        let fields = fields(line, delimiter)?;
        let cell = |field: &str| {
            let mut chars = field.chars();
            match (chars.next(), chars.next()) {
                (None, _) => Some(' '),
                (Some(c), None) => Some(c),
                _ => None,
            }
        };
        fields.iter().map(|field| cell(field)).collect()
    };
    lines.map(row).collect()
}

// Sudokus.

fn sudoku(lines: &[&str]) -> Result<Option<Cells>> {
    let lines: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| !line.trim().is_empty())
        .collect();
    match (sudoku_rows(&lines)?, lines.split_first()) {
        // The size of the grid stands above it.
        (None, Some((first, rest))) if is_size(first) => sudoku_rows(rest),
        (cells, _) => Ok(cells),
    }
}

fn sudoku_rows(lines: &[&str]) -> Result<Option<Cells>> {
    for delimiter in DELIMITERS {
        if let Some(cells) = delimited(lines, delimiter) {
            return Ok(Some(cells));
        }
    }
    // A grid has one kind of blank. Where it is another one, dashes and stars are the frame.
    let has_blank = |line: &&str| !is_frame(line) && line.contains(['.', '0', '_', '?']);
    let frames: &[&str] = match lines.iter().any(has_blank) {
        true => &["-*"],
        false => &["-*", "*", "-"],
    };
    let mut found: Vec<Vec<String>> = Vec::new();
    for frame in frames {
        if let Some(rows) = digit_rows(lines, frame)
            && !found.contains(&rows)
        {
            found.push(rows);
        }
    }
    match found.len() {
        0 => {}
        1 => return Ok(found.pop().map(Cells::Rows)),
        _ => {
            return Err(Error::puzzle(
                "lines of - or * can be rows of blanks or parts of the frame: write 0 or . for \
                 blanks",
            ));
        }
    }
    Ok(spaces_as_blanks(lines).map(Cells::Rows))
}

/// Returns n rows of n digits and blanks. `frame` has the characters of the frame besides the usual
/// ones; the other blanks are cells.
fn digit_rows(lines: &[&str], frame: &str) -> Option<Vec<String>> {
    let is_stroke = |c: char| is_separator(c) || "+=~".contains(c) || frame.contains(c);
    let is_frame_line = |line: &str| {
        let cells = line.chars().filter(|&c| !is_stroke(c));
        // `.---.---.` is the upper edge of a frame.
        let mut corners = cells.clone();
        cells.clone().next().is_none()
            || (is_frame(line)
                && !is_row_of_one_blank(line)
                && corners.all(|c| ".'`,\"-*_".contains(c)))
    };
    let rows: Vec<String> = lines
        .iter()
        .filter(|line| !is_frame_line(line))
        .map(|line| line.chars().filter(|&c| !is_stroke(c)).collect())
        .collect();
    standard_rows(&rows)
}

/// Returns n rows of n digits and blanks in standard characters. `None` if they are something else.
fn standard_rows(rows: &[String]) -> Option<Vec<String>> {
    let n = rows.len();
    if !(MIN_ROWS..=35).contains(&n) || rows.iter().any(|row| row.chars().count() != n) {
        return None;
    }
    let cell = |c: char| match c {
        '.' => Some('.'),
        // The digits of the largest Sudokus include the letter X.
        'x' | 'X' if n >= 33 => Some(c),
        c if BLANKS.contains(c) => Some('.'),
        c => digit(c, n).map(|_| c),
    };
    let row = |row: &String| row.chars().map(cell).collect::<Option<String>>();
    let rows: Vec<String> = rows.iter().map(row).collect::<Option<_>>()?;
    let has_digit = rows
        .iter()
        .any(|row| row.contains(|c| !matches!(c, '.' | '0')));
    has_digit.then_some(rows)
}

/// Returns the cells of a table: each field is a digit, a number, or a blank.
fn delimited(lines: &[&str], delimiter: char) -> Option<Cells> {
    let is_row = |line: &&&str| {
        let line = line.trim();
        let is_command = line.starts_with('\\') && !line.contains(delimiter);
        !is_frame(line) && !is_command
    };
    let mut rows: Vec<Vec<String>> = lines
        .iter()
        .filter(is_row)
        .map(|line| fields(line, delimiter))
        .collect::<Option<_>>()?;
    let n = rows.len();
    if !(MIN_ROWS..=64).contains(&n) {
        return None;
    }
    // A delimiter at the end of each line, or one that is missing after empty fields.
    if rows
        .iter()
        .all(|row| row.len() == n + 1 && row[n].is_empty())
    {
        rows.iter_mut().for_each(|row| row.truncate(n));
    }
    let longest = rows.iter().map(Vec::len).max()?;
    let may_be_short = delimiter == '\t';
    if longest != n || (!may_be_short && rows.iter().any(|row| row.len() != n)) {
        return None;
    }
    let value = |field: &String| cell_value(field).filter(|value| *value <= n as i64);
    let row = |row: &Vec<String>| {
        let mut values: Vec<i64> = row.iter().map(value).collect::<Option<_>>()?;
        values.resize(n, 0);
        Some(values)
    };
    let grid: Vec<Vec<i64>> = rows.iter().map(row).collect::<Option<_>>()?;
    let all = || grid.iter().flatten();
    if all().all(|value| *value == 0) {
        return None;
    }
    if all().any(|value| *value > 9) {
        return Some(Cells::Grid(grid));
    }
    let digit = |value: i64| {
        u32::try_from(value)
            .ok()
            .and_then(|d| char::from_digit(d, 10))
    };
    let char_of = |value: &i64| digit(*value).unwrap_or('0');
    let text = |row: &Vec<i64>| row.iter().map(char_of).collect();
    Some(Cells::Rows(grid.iter().map(text).collect()))
}

/// Returns the value of a cell that is written on its own: a number, or a blank as 0.
///
/// A number may be written with decimals that are 0: `5.0`.
pub(crate) fn cell_value(field: &str) -> Option<i64> {
    let field = field.trim();
    if is_blank_field(field) {
        return Some(0);
    }
    let whole = match field.split_once('.') {
        Some((whole, decimals)) if decimals.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => field,
    };
    let is_number = !whole.is_empty() && whole.len() <= 3;
    whole
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| whole.parse().ok())
        .flatten()
        .filter(|_| is_number)
}

/// Returns whether a field that is one cell is a blank.
pub(crate) fn is_blank_field(field: &str) -> bool {
    let mut chars = field.trim().chars();
    match (chars.next(), chars.next()) {
        (None, _) => true,
        (Some(c), None) => matches!(c, '.' | '0') || BLANKS.contains(c),
        _ => field.eq_ignore_ascii_case("nan") || field.eq_ignore_ascii_case("null"),
    }
}

/// Returns the fields of a line, without quotes and the marks at its ends. `None` if the line does
/// not have the delimiter.
fn fields(line: &str, delimiter: char) -> Option<Vec<String>> {
    let mut line = if delimiter == '\t' {
        line.trim_matches('\r')
    } else {
        line.trim()
    };
    if !line.contains(delimiter) {
        return None;
    }
    if delimiter == '&' {
        let row = line.split("\\\\").next().unwrap_or(line);
        line = row.trim();
    }
    if delimiter == '|' {
        // The row of a package for typesetting ends with `|.`.
        line = line.strip_suffix("|.").unwrap_or(line);
        line = line.strip_prefix('|').unwrap_or(line);
        line = line.strip_suffix('|').unwrap_or(line);
    }
    let bare = |field: &str| {
        field
            .trim()
            .trim_matches(|c| "\"'[](){}".contains(c))
            .trim()
            .to_owned()
    };
    Some(line.split(delimiter).map(bare).collect())
}

/// Returns the rows of a Sudoku whose blanks are spaces. Nothing else is a blank, so the columns
/// decide: all characters, every second one, or those of the boxes between bars.
fn spaces_as_blanks(lines: &[&str]) -> Option<Vec<String>> {
    let rows: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| !is_frame(line))
        .collect();
    let n = rows.len();
    if !(MIN_ROWS..=35).contains(&n) || rows.iter().any(|row| row.contains(['\t', '.', '0'])) {
        return None;
    }
    let blank = |text: String| text.replace(' ', ".");
    let boxed = |row: &&str| boxed_row(row, n).map(blank);
    if rows.iter().any(|row| row.contains('|')) {
        let rows: Vec<String> = rows.iter().map(boxed).collect::<Option<_>>()?;
        return standard_rows(&rows);
    }
    let rows: Vec<String> = rows.iter().map(|row| row.trim_end().to_owned()).collect();
    let whole = |rows: Vec<String>| {
        let rows = fit_maze(rows)?;
        standard_rows(&rows.into_iter().map(blank).collect::<Vec<_>>())
    };
    whole(rows.clone()).or_else(|| whole(every_second(&rows)?))
}

/// Returns the n cells of a row whose boxes are between bars.
fn boxed_row(row: &str, n: usize) -> Option<String> {
    let row = row.trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    let row = row.strip_suffix('|').unwrap_or(row);
    let boxes: Vec<&str> = row.split('|').collect();
    let cols = n.is_multiple_of(boxes.len()).then(|| n / boxes.len())?;
    let cells = |text: &&str| -> Option<String> {
        let width = text.chars().count();
        if cols == 1 {
            let text = text.trim();
            return (text.chars().count() <= 1).then(|| format!("{text:1}"));
        }
        let spaced = |skip: usize| {
            let gaps = (0..width).filter(|i| i % 2 != skip);
            let empty = gaps.into_iter().all(|i| text.chars().nth(i) == Some(' '));
            empty.then(|| text.chars().skip(skip).step_by(2).collect())
        };
        match width {
            w if w == cols => Some((*text).to_owned()),
            w if w == 2 * cols + 1 => spaced(1),
            w if w + 1 == 2 * cols => spaced(0),
            _ => None,
        }
    };
    boxes.iter().map(cells).collect()
}

/// Returns the first character that no notation of a puzzle has, and its position, from 0.
///
/// `None` if the line is not a row of cells with few other characters.
pub(crate) fn foreign_char(line: &str) -> Option<(usize, char)> {
    // The position and the character as it was written, and the plain character.
    let chars: Vec<(usize, char, char)> = line
        .chars()
        .enumerate()
        .filter_map(|(at, c)| Some((at, c, symbols::plain_char(c)?)))
        .collect();
    let first_unless = |is_known: &dyn Fn(char) -> bool| {
        let found = chars.iter().find(|(_, _, plain)| !is_known(*plain));
        found.map(|&(at, c, _)| (at, c))
    };
    let count = |is_cell: &dyn Fn(char) -> bool| {
        chars.iter().filter(|(_, _, plain)| is_cell(*plain)).count()
    };
    let is_blank = |c: char| c == '.' || BLANKS.contains(c);
    if line.contains('#') {
        let mostly = count(&symbols::is_maze_char) * 2 >= chars.len();
        return first_unless(&symbols::is_maze_char).filter(|_| mostly);
    }
    let all = count(&|c| !is_separator(c));
    if all < MIN_ROWS || count(&|c| c.is_ascii_digit() || is_blank(c)) * 5 < all * 4 {
        return None;
    }
    // One row, or a whole Sudoku.
    let side = all.isqrt() + usize::from(all.isqrt().pow(2) < all);
    let n = if all > 35 { side.min(35) } else { all };
    first_unless(&|c| {
        is_separator(c)
            || is_blank(c)
            || "+=,;".contains(c)
            || c.is_ascii_digit()
            || digit(c, n).is_some()
    })
}
