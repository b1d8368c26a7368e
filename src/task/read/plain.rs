//! Puzzles in lines of plain text: one puzzle per line, or one row per line.

use super::grid;
use super::lines::MAX_LINE_BYTES;
use super::one_line::{self, LinePuzzle};
use super::symbols;
use super::text;
use super::text_kind::{TextKind, is_whole_puzzle};
use crate::error::{Error, Result};
use crate::task::puzzle::{Cells, Puzzle};
use std::collections::VecDeque;

/// A puzzle, and the number of its first line.
#[derive(Debug)]
pub(crate) struct PlainPuzzle {
    pub(crate) puzzle: Result<Puzzle>,
    pub(crate) line: u64,
    /// The column of the error, from 1, if the error is about one character.
    pub(crate) column: Option<usize>,
}

impl PlainPuzzle {
    fn new(cells: Cells, solution: Option<Cells>, line: u64) -> Self {
        let bounded = |cells: Cells| cells.bounded().map_err(|e| e.context("the puzzle"));
        let puzzle = bounded(cells).map(|cells| Puzzle {
            solution,
            ..cells.into()
        });
        Self {
            puzzle,
            line,
            column: None,
        }
    }

    fn error(error: Error, line: u64) -> Self {
        Self {
            puzzle: Err(error),
            line,
            column: None,
        }
    }

    /// Returns the error about the first character of the lines that is in no notation, if there is
    /// one.
    fn foreign<'l>(lines: impl Iterator<Item = (u64, &'l str)>) -> Option<Self> {
        let mut lines = lines;
        lines.find_map(|(line, text)| {
            let (at, c) = grid::foreign_char(text)?;
            Some(Self {
                column: Some(at + 1),
                ..Self::error(not_a_cell(c, text), line)
            })
        })
    }
}

/// Returns the error about a character that no notation has.
fn not_a_cell(c: char, line: &str) -> Error {
    let expected = if line.contains('#') {
        "a maze has # for walls, blanks for free cells, S for the start and G for the goal"
    } else {
        "a Sudoku has digits, and 0 or . for blanks"
    };
    Error::puzzle(format!(
        "{c:?} (U+{:04X}) is not a puzzle character: {expected}",
        c as u32
    ))
}

/// A line of the current grid.
#[derive(Debug)]
struct GridLine {
    number: u64,
    /// The line as it was written.
    text: String,
    /// The line in plain characters.
    plain: String,
    /// Nothing but white space.
    blank: bool,
    /// A part of the frame, and certainly no row.
    frame: bool,
    /// A row of blanks, or a part of the frame: `---------`.
    dashes: bool,
}

impl GridLine {
    fn new(number: u64, text: String) -> Self {
        let plain = symbols::plain(&text);
        let dashes = symbols::is_row_of_one_blank(&plain);
        Self {
            number,
            blank: plain.trim().is_empty(),
            frame: symbols::is_frame(&plain) && !dashes,
            dashes,
            plain,
            text,
        }
    }
}

/// Groups lines into puzzles. [`Records`](super::Records) documents the rules.
#[derive(Debug, Default)]
pub(crate) struct PlainParser {
    /// Every line is a puzzle.
    one_per_line: bool,
    /// The lines of the current grid.
    lines: Vec<GridLine>,
    /// A line has more than white space. Until then the lines may be the first rows of a maze, or
    /// empty lines.
    has_content: bool,
    kind: TextKind,
    /// The first line is the size of the grid.
    has_size: bool,
    /// The number of cells of the first row in the standard notation.
    width: usize,
    /// The number of lines that are certainly rows.
    row_count: usize,
    /// The numbers of rows that the grid can have.
    row_counts: Vec<usize>,
    /// The size of the grid in bytes.
    bytes: usize,
    /// How often the current grid was tried at an empty line.
    tries: usize,
    /// The first line of text above the first puzzle, such as a title.
    title: Option<(u64, String)>,
    /// A puzzle was found.
    found: bool,
    /// The lines belong to a section that has no puzzle, such as `[State]`.
    skips_section: bool,
}

/// How often a grid is tried at an empty line.
const MAX_TRIES: usize = 32;

impl PlainParser {
    /// Adds a line. Puzzles that it completes are appended to `ready`.
    pub(crate) fn add_line(
        &mut self,
        number: u64,
        text: String,
        ready: &mut VecDeque<PlainPuzzle>,
    ) {
        let line = GridLine::new(number, text);
        if self.one_per_line && line.blank {
            return;
        }
        if let Some(name) = symbols::section(&line.plain) {
            self.end(ready);
            self.skips_section = !name.to_ascii_lowercase().contains("puzzle");
            if self.skips_section {
                log::warn!("line {number}: the section [{name}] has no puzzle; it is skipped");
            }
            return;
        }
        if self.skips_section || (symbols::is_comment(&line.plain) && !self.is_row_of_maze(&line)) {
            return;
        }
        if self.one_per_line {
            return self.add_puzzle_line(line, ready);
        }
        if !line.blank && symbols::is_text(&line.plain) && !self.is_row_of_maze(&line) {
            match one_line::read(&line.plain) {
                Ok(None) => return self.add_text(line, ready),
                _ => {
                    self.end(ready);
                    self.one_per_line = true;
                    return self.add_puzzle_line(line, ready);
                }
            }
        }
        self.add_grid_line(line, ready);
    }

    /// Returns whether a line was neither empty, a comment, nor a title.
    pub(crate) fn has_begun(&self) -> bool {
        self.one_per_line || self.has_content || self.found
    }

    /// Adds a line of text, such as a title. It ends a grid.
    fn add_text(&mut self, line: GridLine, ready: &mut VecDeque<PlainPuzzle>) {
        self.end(ready);
        if !self.found || self.title.is_some() {
            self.title.get_or_insert((line.number, line.text));
            return;
        }
        // Only a text with titles from its beginning has titles.
        let cells = Cells::Text(text::sudoku_cells(&line.text));
        ready.push_back(PlainPuzzle::new(cells, None, line.number));
    }

    /// Adds a line that is a whole puzzle, or else is malformed.
    fn add_puzzle_line(&mut self, line: GridLine, ready: &mut VecDeque<PlainPuzzle>) {
        let standard = match self.kind {
            TextKind::Maze => line.text.clone(),
            TextKind::Sudoku => text::sudoku_cells(&line.text),
        };
        if standard.is_empty() {
            return;
        }
        self.found = true;
        let read = one_line::read(&line.plain);
        let number = line.number;
        ready.push_back(match read {
            Ok(Some(LinePuzzle { cells, solution })) => PlainPuzzle::new(cells, solution, number),
            Err(error) => PlainPuzzle::error(error, number),
            Ok(None) if self.title.is_some() && symbols::is_text(&line.plain) => return,
            Ok(None) => PlainPuzzle::foreign([(number, line.text.as_str())].into_iter())
                .unwrap_or_else(|| PlainPuzzle::new(Cells::Text(standard), None, number)),
        });
    }

    /// Returns whether a line continues a maze, although it looks like a comment or a text.
    fn is_row_of_maze(&self, line: &GridLine) -> bool {
        self.has_content
            && self.kind == TextKind::Maze
            && line.plain.chars().count() == self.width
            && line
                .plain
                .chars()
                .filter(|&c| symbols::is_maze_char(c))
                .count()
                * 2
                > self.width
    }

    fn add_grid_line(&mut self, line: GridLine, ready: &mut VecDeque<PlainPuzzle>) {
        if !self.has_content {
            self.begin_grid(&line);
            if line.text.is_empty() {
                return;
            }
        } else if self.only_size() && self.is_other_row(&line) {
            // The size of a grid stands above it.
            self.begin_grid(&line);
        } else if self.only_size() && self.width < 4 && !line.blank {
            self.end(ready);
            self.begin_grid(&line);
        }
        if line.blank && self.has_content {
            return self.add_blank(line, ready);
        }
        let standard = self.standard_cells(&line.text);
        let count = standard.chars().count();
        let is_whole = count != self.width && is_whole_puzzle(&standard, self.kind);
        if is_whole || (!line.blank && self.is_puzzle_line(&line, count)) {
            self.end(ready);
            self.kind = TextKind::of(&line.text);
            self.one_per_line = true;
            return self.add_puzzle_line(line, ready);
        }
        if self.width == 0 && !line.frame {
            self.width = count;
            self.row_counts = grid::row_counts(&line.plain);
        }
        self.has_content |= !line.blank;
        self.bytes += line.text.len();
        let frame = line.frame;
        self.push(line);
        if !frame && self.has_content {
            self.try_rows(ready);
        }
    }

    fn push(&mut self, line: GridLine) {
        // Lines of dashes can be rows. Whether they are is known at the end of the grid.
        let is_row = !line.frame && !line.dashes && (self.kind == TextKind::Maze || !line.blank);
        self.row_count += usize::from(is_row);
        self.lines.push(line);
    }

    /// Notes what the first line with content says about the grid.
    fn begin_grid(&mut self, line: &GridLine) {
        self.kind = match line.blank {
            true => TextKind::Maze,
            false => TextKind::of(&line.plain),
        };
        let same = line.text.chars().count() == self.width;
        if self.kind == TextKind::Sudoku || !same {
            let size = self.lines.pop().filter(|_| self.has_content);
            self.clear();
            (self.has_content, self.has_size) = (size.is_some(), size.is_some());
            if let Some(size) = size {
                self.push(size);
            }
        }
    }

    /// Returns whether the only line so far is the size of a grid.
    fn only_size(&self) -> bool {
        match self.lines.as_slice() {
            [line] => self.has_content && !self.has_size && grid::is_size(&line.plain),
            _ => false,
        }
    }

    /// Returns whether a line is a row of another grid than the line above it.
    fn is_other_row(&self, line: &GridLine) -> bool {
        let count = text::sudoku_cells(&line.plain).chars().count();
        TextKind::of(&line.plain) == TextKind::Maze || (count >= 4 && count != self.width)
    }

    /// Returns whether a line has a whole puzzle among other things, and is not one row.
    fn is_puzzle_line(&self, line: &GridLine, count: usize) -> bool {
        (self.lines.is_empty() || count != self.width)
            && !matches!(one_line::read(&line.plain), Ok(None))
    }

    /// Adds an empty line: it separates boxes, or ends the grid.
    fn add_blank(&mut self, line: GridLine, ready: &mut VecDeque<PlainPuzzle>) {
        let is_row = self.kind == TextKind::Maze && line.text.chars().count() == self.width;
        self.tries += 1;
        let is_try = !is_row && self.tries <= MAX_TRIES;
        if is_try && self.groups_are_equal() && self.try_to_read(ready) {
            return;
        }
        let waits = self.kind == TextKind::Sudoku || is_row || self.may_have_empty_rows();
        // Several empty lines are like one.
        if is_row || self.lines.last().is_none_or(|last| !last.blank) {
            self.push(line);
        }
        match waits {
            true if self.kind == TextKind::Maze => self.try_rows(ready),
            true => {}
            false => self.end(ready),
        }
    }

    /// Returns whether an empty line can be a row of the maze whose blanks are lost: it has no
    /// start or no goal yet, and its rows have different widths.
    fn may_have_empty_rows(&self) -> bool {
        let rows = || self.lines.iter().filter(|line| !line.blank);
        let has = |c: char| rows().any(|line| line.plain.contains(c));
        let width = |line: &GridLine| line.plain.chars().count();
        !(has('S') && has('G')) && rows().any(|line| width(line) != self.width)
    }

    /// Reads the grid if it has a number of rows that is possible.
    fn try_rows(&mut self, ready: &mut VecDeque<PlainPuzzle>) {
        let count = self.row_count - usize::from(self.has_size);
        // Where blanks of a maze are lost or its cells are spaced, more rows may follow.
        let may_be_complete = match self.kind {
            TextKind::Maze => count == self.width,
            TextKind::Sudoku => self.row_counts.contains(&count) && !self.has_spaces_for_blanks(),
        };
        if may_be_complete && self.groups_are_equal() && self.try_to_read(ready) {
            return;
        }
        let is_complete = count == self.width && self.is_standard();
        let is_too_large =
            self.bytes > MAX_LINE_BYTES || self.lines.len() > 3 * grid::MAX_ROWS.max(self.width);
        if (is_complete && !self.only_size()) || is_too_large {
            self.end(ready);
        }
    }

    /// Returns whether the first row may have spaces as blanks: it has no other blank, and not a
    /// space between each two cells.
    fn has_spaces_for_blanks(&self) -> bool {
        let mut rows = self.lines.iter().skip(usize::from(self.has_size));
        rows.find(|line| !line.blank && !line.frame)
            .is_some_and(|first| {
                let line = first.plain.trim();
                let has_blank = line.contains(|c| {
                    matches!(c, '.' | '0' | ',' | ';' | '\t') || "_*?xX-".contains(c)
                });
                let mut words = line.split(' ').filter(|word| *word != "|");
                line.contains(' ') && !has_blank && !words.all(|word| word.len() == 1)
            })
    }

    /// Returns whether the first row is written in a standard notation, so that its cells are the
    /// number of rows.
    fn is_standard(&self) -> bool {
        let rows = || self.lines.iter().skip(usize::from(self.has_size));
        let Some(first) = rows().find(|line| !line.blank && !line.frame) else {
            return false;
        };
        match self.kind {
            TextKind::Maze => rows().all(|line| line.plain.chars().count() == self.width),
            TextKind::Sudoku => {
                let plain = first.plain.trim();
                let has_blank = plain.contains(['.', '0']);
                // A bar beside each cell separates cells, which can be empty.
                let bars = plain.chars().filter(|c| *c == '|').count();
                plain
                    .chars()
                    .all(|c| c == ' ' || c == '|' || symbols::is_standard_cell(c))
                    && bars < self.width.max(4)
                    && (has_blank || !plain.contains(' '))
            }
        }
    }

    /// Reads the lines as one grid. Returns whether they are one.
    fn try_to_read(&mut self, ready: &mut VecDeque<PlainPuzzle>) -> bool {
        let first = self.first_line();
        let Some(puzzle) = read_grid(&self.lines, first) else {
            return false;
        };
        ready.push_back(puzzle);
        self.found = true;
        self.clear();
        true
    }

    /// Returns the number of the first line that is a row.
    fn first_line(&self) -> u64 {
        let row = self.lines.iter().find(|line| !line.blank && !line.frame);
        let first_blank = self.lines.first().filter(|line| line.blank);
        first_blank.or(row).map_or(1, |line| line.number)
    }

    /// Returns whether empty lines divide the rows of a Sudoku into groups of the same size, as
    /// they do between boxes.
    fn groups_are_equal(&self) -> bool {
        if self.kind == TextKind::Maze {
            return true;
        }
        let are_equal = |is_row: fn(&GridLine) -> bool| {
            let groups = self.lines.split(|line| line.blank);
            let rows = |group: &[GridLine]| group.iter().filter(|line| is_row(line)).count();
            let mut sizes = groups.map(rows).filter(|rows| *rows > 0);
            let first = sizes.next();
            sizes.all(|size| Some(size) == first)
        };
        are_equal(|line| !line.frame) || are_equal(|line| !line.frame && !line.dashes)
    }

    fn standard_cells(&self, text: &str) -> String {
        match self.kind {
            TextKind::Maze => text.to_owned(),
            TextKind::Sudoku => text::sudoku_cells(text),
        }
    }

    /// Ends the input.
    pub(crate) fn finish(&mut self, ready: &mut VecDeque<PlainPuzzle>) {
        self.end(ready);
        // A text without any puzzle is an error, not an empty input.
        if !self.found
            && let Some((line, text)) = self.title.take()
        {
            self.found = true;
            let cells = Cells::Text(text::sudoku_cells(&text));
            ready.push_back(PlainPuzzle::new(cells, None, line));
        }
    }

    /// Ends the current grid. If its lines are not one grid, empty lines divide it.
    fn end(&mut self, ready: &mut VecDeque<PlainPuzzle>) {
        let has_rows = self
            .lines
            .iter()
            .any(|line| !line.blank && !line.frame && !line.dashes);
        if !self.has_content || !has_rows {
            return self.clear();
        }
        if self.groups_are_equal() && self.try_to_read(ready) {
            return self.clear();
        }
        let lines = std::mem::take(&mut self.lines);
        let has_wall = lines.iter().any(|line| line.plain.contains('#'));
        let kind = if has_wall { TextKind::Maze } else { self.kind };
        let width = self.width;
        self.clear();
        let groups: Vec<&[GridLine]> = lines
            .split(|line| line.blank && line.text.chars().count() != width)
            .filter(|group| group.iter().any(|line| !line.blank && !line.frame))
            .collect();
        let number = |group: &[GridLine]| group.first().map_or(1, |line| line.number);
        let read: Vec<Option<PlainPuzzle>> = groups
            .iter()
            .map(|group| read_grid(group, number(group)))
            .collect();
        if kind == TextKind::Sudoku && read.iter().all(Option::is_none) {
            return self.end_unread(&lines, kind, ready);
        }
        for (group, puzzle) in groups.into_iter().zip(read) {
            match puzzle {
                Some(puzzle) => {
                    self.found = true;
                    ready.push_back(puzzle);
                }
                None => self.end_unread(group, kind, ready),
            }
        }
    }

    /// Adds lines that are no grid in any notation, for the error of the task.
    fn end_unread(
        &mut self,
        lines: &[GridLine],
        kind: TextKind,
        ready: &mut VecDeque<PlainPuzzle>,
    ) {
        let cells = |text: &str| match kind {
            TextKind::Maze => text.to_owned(),
            TextKind::Sudoku => text::sudoku_cells(text),
        };
        let rows: Vec<(u64, String)> = lines
            .iter()
            .filter(|line| kind == TextKind::Maze || !line.blank)
            .map(|line| (line.number, cells(&line.text)))
            .filter(|(_, cells)| !cells.is_empty())
            .collect();
        let Some(&(line, _)) = rows.first() else {
            return;
        };
        self.found = true;
        if is_stream(&rows, kind) {
            self.one_per_line = true;
            self.kind = kind;
            let puzzle = |(line, cells)| PlainPuzzle::new(Cells::Text(cells), None, line);
            return ready.extend(rows.into_iter().map(puzzle));
        }
        let texts = lines.iter().map(|line| (line.number, line.text.as_str()));
        let foreign = PlainPuzzle::foreign(texts);
        ready.push_back(foreign.unwrap_or_else(|| {
            let cells = text::from_rows(rows.into_iter().map(|(_, row)| row).collect());
            PlainPuzzle::new(cells, None, line)
        }));
    }

    fn clear(&mut self) {
        self.lines.clear();
        self.row_counts.clear();
        (self.has_content, self.has_size) = (false, false);
        (self.width, self.row_count, self.bytes, self.tries) = (0, 0, 0, 0);
    }
}

/// Reads lines as one grid, or returns `None`.
fn read_grid(lines: &[GridLine], first: u64) -> Option<PlainPuzzle> {
    let texts: Vec<&str> = lines.iter().map(|line| line.plain.as_str()).collect();
    match grid::read(&texts) {
        Ok(cells) => Some(PlainPuzzle::new(cells?, None, first)),
        Err(error) => Some(PlainPuzzle::error(error, first)),
    }
}

/// Returns whether each row is a puzzle. This happens if the first row is malformed, so that it was
/// not recognised as a whole puzzle.
fn is_stream(rows: &[(u64, String)], kind: TextKind) -> bool {
    let puzzles = rows
        .iter()
        .filter(|(_, cells)| is_whole_puzzle(cells, kind))
        .count();
    let square = rows
        .first()
        .is_some_and(|(_, row)| row.chars().count() == rows.len());
    match kind {
        // One row of a maze may have both its start and its goal.
        TextKind::Maze => puzzles >= 2,
        TextKind::Sudoku => puzzles >= 1 && !square,
    }
}
