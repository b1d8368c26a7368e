//! Boards: puzzles that the user types, draws, pastes or opens, with undo.
//!
//! A [`Board`] holds the puzzle, not its answer: a grid of small values and its edit history. The
//! library's `trm_runtime::task` reads all puzzle formats. This module adds cells that can be
//! edited, the cells that break a rule, and undo.

mod convert;
mod maze;
mod sudoku;
mod text;
mod undo;

use std::sync::Arc;

use trm_runtime::task::{
    ArcGrid, ArcPuzzle, Cells, Demonstration, EncodedPuzzle, Id, Maze, Puzzle, Sudoku, Task,
    TaskKind, TokenSpec, Verdict,
};

use undo::UndoStack;

pub use maze::MazePath;
pub(crate) use maze::ShortestPaths;
pub(crate) use sudoku::houses;
pub use text::{FirstPuzzle, MAX_PUZZLE_BYTES, read_first, read_first_in_file};

/// A free cell of a maze.
pub const FREE: u8 = b' ';
/// A wall of a maze.
pub const WALL: u8 = b'#';
/// The start of a maze.
pub const START: u8 = b'S';
/// The goal of a maze.
pub const GOAL: u8 = b'G';
/// A path cell of an answer to a maze. Boards have none.
pub const PATH: u8 = b'o';
/// A cell of an answer whose token is not a value of the board.
pub const INVALID: u8 = b'?';

/// The allowed sides of mazes.
pub const MAZE_SIDES: std::ops::RangeInclusive<usize> = 2..=50;
/// The maximum number of rows and of columns of an ARC grid.
pub const MAX_ARC_SIDE: usize = 30;
/// The number of ARC colours, 0 to 9.
const ARC_COLOR_COUNT: u8 = 10;
/// The maximum length of a puzzle's name.
const MAX_NAME_CHARS: usize = 80;

/// The kind and the size of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A Sudoku: digits 1 to `side`, 0 for blank.
    Sudoku {
        /// Rows and columns: 4, 6 or 9.
        side: usize,
        /// Rows and columns of one box.
        boxes: [usize; 2],
    },
    /// A maze: [`WALL`], [`FREE`], [`START`], [`GOAL`].
    Maze {
        /// Rows and columns: [`MAZE_SIDES`].
        side: usize,
    },
    /// The test input of an ARC task: colours 0 to 9.
    Arc {
        /// Rows: 1 to [`MAX_ARC_SIDE`].
        rows: usize,
        /// Columns: 1 to [`MAX_ARC_SIDE`].
        cols: usize,
    },
}

/// A rectangle of board values: an answer, or a grid of an ARC task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grid {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// `rows * cols` values, row by row.
    pub cells: Vec<u8>,
}

/// A puzzle that can be edited.
///
/// Two boards are equal if their puzzles are, whatever their edit history.
#[derive(Debug, Clone)]
pub struct Board {
    kind: Kind,
    /// One value per cell, row by row.
    cells: Vec<u8>,
    metadata: Metadata,
    undo_stack: UndoStack,
}

/// What a puzzle has beside its cells.
#[derive(Debug, Clone, Default, PartialEq)]
struct Metadata {
    id: Option<Id>,
    /// The row of the puzzle embedding that the puzzle asks for.
    puzzle_id: Option<u32>,
    /// The name of the ARC task.
    task: Option<String>,
    /// The example pairs of the ARC task.
    train: Arc<[Demonstration]>,
    /// The solution that came with the puzzle, and the cells that it solves.
    solution: Option<(Vec<u8>, Cells)>,
}

impl PartialEq for Board {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.cells, &self.metadata) == (other.kind, &other.cells, &other.metadata)
    }
}

impl Kind {
    /// Returns a Sudoku of 4 x 4 (boxes of 2 x 2), 6 x 6 (2 x 3) or 9 x 9 (3 x 3). Any other side
    /// gives 9 x 9.
    pub fn sudoku(side: usize) -> Self {
        let side = if [4, 6].contains(&side) { side } else { 9 };
        let boxes = Sudoku::default().boxes(side).unwrap_or([1, side]);
        Self::Sudoku { side, boxes }
    }

    /// Returns a maze. Clamps its side to [`MAZE_SIDES`].
    pub fn maze(side: usize) -> Self {
        Self::Maze {
            side: side.clamp(*MAZE_SIDES.start(), *MAZE_SIDES.end()),
        }
    }

    /// Returns an ARC grid. Clamps its sides to 1 to [`MAX_ARC_SIDE`].
    pub fn arc(rows: usize, cols: usize) -> Self {
        Self::Arc {
            rows: rows.clamp(1, MAX_ARC_SIDE),
            cols: cols.clamp(1, MAX_ARC_SIDE),
        }
    }

    /// Returns the nearest kind that is allowed: the kind itself if its sizes are.
    pub(crate) fn nearest_valid(self) -> Self {
        match self {
            Self::Sudoku { side, .. } => Self::sudoku(side),
            Self::Maze { side } => Self::maze(side),
            Self::Arc { rows, cols } => Self::arc(rows, cols),
        }
    }

    /// Returns the number of rows.
    pub fn rows(self) -> usize {
        match self {
            Self::Sudoku { side, .. } | Self::Maze { side } => side,
            Self::Arc { rows, .. } => rows,
        }
    }

    /// Returns the number of columns.
    pub fn cols(self) -> usize {
        match self {
            Self::Sudoku { side, .. } | Self::Maze { side } => side,
            Self::Arc { cols, .. } => cols,
        }
    }

    /// Returns the task of the library.
    pub fn task(self) -> TaskKind {
        match self {
            Self::Sudoku { .. } => TaskKind::Sudoku,
            Self::Maze { .. } => TaskKind::Maze,
            Self::Arc { .. } => TaskKind::Arc,
        }
    }

    /// Returns a name to show, such as `Sudoku 9 x 9`.
    pub fn name(self) -> String {
        let task = match self {
            Self::Sudoku { .. } => "Sudoku",
            Self::Maze { .. } => "Maze",
            Self::Arc { .. } => "ARC",
        };
        format!("{task} {} x {}", self.rows(), self.cols())
    }

    /// Returns the value of a token of the model, or `None` if the token is not a value of this
    /// kind: padding, an end-of-sequence mark, or an unknown token.
    pub fn value(self, token: u32) -> Option<u8> {
        let token = u8::try_from(token).ok()?;
        match self {
            Self::Sudoku { side, .. } => token.checked_sub(1).filter(|&d| usize::from(d) <= side),
            Self::Maze { .. } => maze::CHARS.get(usize::from(token.checked_sub(1)?)).copied(),
            Self::Arc { .. } => token.checked_sub(2).filter(|&c| c < ARC_COLOR_COUNT),
        }
    }

    /// Returns the token of a value: the inverse of [`Kind::value`].
    pub fn token(self, value: u8) -> Option<u32> {
        (0..=u32::from(u8::MAX)).find(|&token| self.value(token) == Some(value))
    }

    /// Returns the vocabulary that the library's tasks expect. It fits every model of this kind.
    fn token_spec(self) -> TokenSpec {
        let vocab_size = match self {
            Self::Sudoku { side, .. } => side + 2,
            Self::Maze { .. } => 6,
            Self::Arc { .. } => 12,
        };
        TokenSpec {
            vocab_size,
            seq_len: None,
            num_puzzle_identifiers: 0,
        }
    }

    /// Returns the value of an empty cell.
    pub(crate) fn blank(self) -> u8 {
        match self {
            Self::Maze { .. } => FREE,
            Self::Sudoku { .. } | Self::Arc { .. } => 0,
        }
    }

    /// Returns the library's task, which knows the rules.
    fn rules(self) -> Box<dyn Task> {
        match self {
            Self::Sudoku { boxes, .. } => Box::new(Sudoku {
                box_shape: Some(boxes),
            }),
            Self::Maze { .. } => Box::new(Maze),
            Self::Arc { .. } => Box::new(ArcGrid::default()),
        }
    }
}

impl Board {
    /// Returns an empty board: a blank Sudoku, a maze without walls whose start is top left and
    /// whose goal is bottom right, or a black ARC grid.
    pub fn empty(kind: Kind) -> Self {
        let kind = kind.nearest_valid();
        let mut cells = vec![kind.blank(); kind.rows() * kind.cols()];
        if let (Kind::Maze { .. }, [first, .., last]) = (kind, cells.as_mut_slice()) {
            (*first, *last) = (START, GOAL);
        }
        Self::new(kind, cells)
    }

    /// Returns a blank Sudoku of side 4, 6 or 9. Any other side gives 9.
    pub fn sudoku(side: usize) -> Self {
        Self::empty(Kind::sudoku(side))
    }

    /// Returns a maze without walls. The start is top left, the goal bottom right.
    pub fn maze(side: usize) -> Self {
        Self::empty(Kind::maze(side))
    }

    /// Returns the test input of an ARC task, with the example pairs.
    ///
    /// # Errors
    /// If a grid is invalid: its rows differ in length, it is too large, or a value is not a
    /// colour.
    pub fn arc(task: ArcPuzzle) -> Result<Self, String> {
        Self::from_puzzle(&Cells::Arc(task).into())
    }

    /// Reads the first puzzle of a text, in any supported form: the cells of a Sudoku, the rows of
    /// a maze, JSON as `trm-run` reads it, an ARC task file, CSV.
    ///
    /// # Errors
    /// If the text holds no valid puzzle. The message says what is wrong and which forms are
    /// accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        text::read_first(text, "").map(|first| first.board)
    }

    /// Reads the first puzzle of a file. See [`Board::parse`].
    ///
    /// # Errors
    /// If the file cannot be read, is larger than [`MAX_PUZZLE_BYTES`], or holds no puzzle.
    pub fn open(path: &std::path::Path) -> Result<Self, String> {
        text::read_first_in_file(path).map(|first| first.board)
    }

    /// Returns a board with these cells, which must be `rows * cols` values of `kind`.
    pub(crate) fn new(kind: Kind, cells: Vec<u8>) -> Self {
        Self {
            kind,
            cells,
            metadata: Metadata::default(),
            undo_stack: UndoStack::default(),
        }
    }

    /// Converts a puzzle that the library has read.
    ///
    /// # Errors
    /// If this program cannot draw the puzzle. A puzzle that breaks its own rules is accepted, so
    /// that the board can show where.
    pub fn from_puzzle(puzzle: &Puzzle) -> Result<Self, String> {
        let (kind, cells) = convert::cells(puzzle)?;
        let mut board = Self::new(kind, cells);
        board.metadata.id = puzzle.id.clone();
        board.metadata.puzzle_id = puzzle.puzzle_id;
        if let Cells::Arc(arc) = &puzzle.cells {
            board.metadata.task = arc.task.clone();
            board.metadata.train = arc.train.clone();
        }
        if let Some(solution) = &puzzle.solution {
            let was_solvable = board.check().is_ok();
            board.metadata.solution = Some((board.cells.clone(), solution.clone()));
            // Reports an invalid solution, unless the puzzle itself is to blame.
            if was_solvable {
                board.check()?;
            }
        }
        Ok(board)
    }

    /// Returns the kind and the size of the board.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.kind.rows()
    }

    /// Returns the number of columns.
    pub fn cols(&self) -> usize {
        self.kind.cols()
    }

    /// Returns all cells, row by row.
    pub fn cells(&self) -> &[u8] {
        &self.cells
    }

    /// Returns the value of a cell: a digit (0 for blank), a maze character, a colour. Cells
    /// outside the board are blank.
    pub fn cell(&self, i: usize) -> u8 {
        self.cells.get(i).copied().unwrap_or(self.kind.blank())
    }

    /// Returns the name of the puzzle, if it has one. It is cut to 80 characters, and control
    /// characters are removed.
    pub fn name(&self) -> Option<String> {
        let task = self.metadata.task.clone();
        let name = task.or(self.metadata.id.as_ref().map(Id::to_string))?;
        let printable = name.chars().filter(|c| !c.is_control());
        Some(printable.take(MAX_NAME_CHARS).collect())
    }

    /// Sets a cell and returns whether the board changed. Outside a stroke, this is one edit.
    ///
    /// Rejects values that this kind does not have. In a maze, setting the start or the goal moves
    /// it, and the cell that it leaves becomes free. No other value replaces them.
    pub fn set(&mut self, i: usize, value: u8) -> bool {
        let Some(&old) = self.cells.get(i) else {
            return false;
        };
        let is_end = |value| matches!(value, START | GOAL);
        let allowed = match self.kind {
            Kind::Sudoku { side, .. } => usize::from(value) <= side,
            Kind::Maze { .. } => matches!(value, WALL | FREE | START | GOAL) && !is_end(old),
            Kind::Arc { .. } => value < ARC_COLOR_COUNT,
        };
        if !allowed || old == value {
            return false;
        }
        let is_single_edit = self.undo_stack.begin();
        if is_end(value) && matches!(self.kind, Kind::Maze { .. }) {
            while let Some(left) = self.cells.iter().position(|&cell| cell == value) {
                self.undo_stack.write(&mut self.cells, left, FREE);
            }
        }
        self.undo_stack.write(&mut self.cells, i, value);
        if is_single_edit {
            self.undo_stack.end();
        }
        true
    }

    /// Begins a mouse stroke. All changes until [`Board::end_stroke`] are one edit.
    pub fn begin_stroke(&mut self) {
        self.undo_stack.begin();
    }

    /// Ends the stroke.
    pub fn end_stroke(&mut self) {
        self.undo_stack.end();
    }

    /// Clears the board, in one edit. A maze keeps its start and its goal.
    pub fn clear(&mut self) {
        self.undo_stack.end();
        self.undo_stack.begin();
        let blank = self.kind.blank();
        for i in 0..self.cells.len() {
            let is_end =
                matches!(self.kind, Kind::Maze { .. }) && matches!(self.cell(i), START | GOAL);
            if !is_end {
                self.undo_stack.write(&mut self.cells, i, blank);
            }
        }
        self.undo_stack.end();
    }

    /// Undoes the last edit and returns whether there was one. Ends the current stroke.
    pub fn undo(&mut self) -> bool {
        self.undo_stack.undo(&mut self.cells)
    }

    /// Redoes the edit that was undone last and returns whether there was one.
    pub fn redo(&mut self) -> bool {
        self.undo_stack.redo(&mut self.cells)
    }

    /// Returns whether there is an edit to undo.
    pub fn can_undo(&self) -> bool {
        self.undo_stack.can_undo()
    }

    /// Returns whether there is an edit to redo.
    pub fn can_redo(&self) -> bool {
        self.undo_stack.can_redo()
    }

    /// Returns whether an answer must keep this cell: a digit of a Sudoku; a wall, the start or the
    /// goal of a maze. ARC has no such cells.
    pub fn is_given(&self, i: usize) -> bool {
        match self.kind {
            Kind::Arc { .. } => false,
            _ => self.cell(i) != self.kind.blank(),
        }
    }

    /// Returns the cells that break a rule, in ascending order. Looks at the puzzle or, if given,
    /// at an answer in the values of [`Board::answer`].
    ///
    /// - Sudoku: digits that a row, a column or a box holds twice. In an answer also changed clues
    ///   and cells without a digit.
    /// - Maze: both ends, if no path joins them. In an answer: cells that changed other than from
    ///   free to path and, if the path has a gap, its two sides and the detached path cells.
    /// - ARC: cells of an answer that differ from the solution, if the task came with a solution of
    ///   the same size. The indices are those of the answer.
    ///
    /// Ignores an answer to a Sudoku or a maze whose length differs from the puzzle's.
    pub fn conflicts(&self, answer: Option<&[u8]>) -> Vec<usize> {
        let answer =
            answer.filter(|a| a.len() == self.cells.len() || matches!(self.kind, Kind::Arc { .. }));
        match self.kind {
            Kind::Sudoku { side, boxes } => sudoku::conflicts(&self.cells, answer, side, boxes),
            Kind::Maze { side } => maze::conflicts(&self.cells, answer, side),
            Kind::Arc { .. } => match (answer, self.solution()) {
                (Some(answer), Some(solution)) if solution.cells.len() == answer.len() => {
                    let pairs = answer.iter().zip(&solution.cells).enumerate();
                    pairs.filter(|(_, (a, s))| a != s).map(|(i, _)| i).collect()
                }
                _ => Vec::new(),
            },
        }
    }

    /// Returns the path of an answer to a maze. It is empty for other kinds.
    pub fn path(&self, answer: &[u8]) -> MazePath {
        match self.kind {
            Kind::Maze { side } if answer.len() == self.cells.len() => {
                maze::path(&self.cells, answer, side)
            }
            _ => MazePath::default(),
        }
    }

    /// Returns the puzzle in the form that a solver takes.
    pub fn to_puzzle(&self) -> Puzzle {
        let lines = |cell: fn(u8) -> char| {
            self.cells
                .chunks(self.cols())
                .map(move |row| row.iter().map(|&v| cell(v)).collect::<String>())
        };
        let cells = match self.kind {
            Kind::Sudoku { .. } => Cells::Text(lines(sudoku::char_of).collect()),
            Kind::Maze { .. } => Cells::Rows(lines(char::from).collect()),
            Kind::Arc { .. } => Cells::Arc(ArcPuzzle {
                task: self.metadata.task.clone(),
                train: self.metadata.train.clone(),
                test: self.grid().to_rows(),
            }),
        };
        let solution = self.metadata.solution.as_ref();
        let solution = solution.filter(|(cells, _)| *cells == self.cells);
        Puzzle {
            id: self.metadata.id.clone(),
            cells,
            solution: solution.map(|(_, solution)| solution.clone()),
            task: None,
            puzzle_id: self.metadata.puzzle_id,
        }
    }

    /// Returns the puzzle as text that [`Board::parse`] reads: a Sudoku on one line, the rows of a
    /// maze, an ARC task as JSON.
    pub fn to_text(&self) -> String {
        text::print(self)
    }

    /// Returns the example pairs of input and output of an ARC task.
    pub fn demonstrations(&self) -> Vec<Demonstration> {
        self.metadata.train.to_vec()
    }

    /// Returns the cells as a grid.
    pub fn grid(&self) -> Grid {
        Grid {
            rows: self.rows(),
            cols: self.cols(),
            cells: self.cells.clone(),
        }
    }

    /// Returns the solution that came with the puzzle, as long as the puzzle is unchanged.
    pub fn solution(&self) -> Option<Grid> {
        let (cells, solution) = self.metadata.solution.as_ref()?;
        (*cells == self.cells).then(|| self.answer(solution))
    }

    /// Converts an answer of the library (`PuzzleStep::answer`) to board values: digits (0 for
    /// none), maze characters with [`PATH`], colours. Any other cell is [`INVALID`].
    pub fn answer(&self, answer: &Cells) -> Grid {
        convert::answer(self.kind, answer)
    }

    /// Returns what the rules say of the tokens of an answer.
    ///
    /// # Errors
    /// If the puzzle itself cannot be solved; see [`Board::check`].
    pub fn verdict(&self, tokens: &[u32]) -> Result<Verdict, String> {
        Ok(self.kind.rules().verify(&self.encode()?, tokens))
    }

    /// Checks that a model can be asked to solve the puzzle.
    ///
    /// # Errors
    /// If it has no solution: clues contradict each other, or no path joins the ends of a maze.
    pub fn check(&self) -> Result<(), String> {
        self.encode().map(|_| ())
    }

    fn encode(&self) -> Result<EncodedPuzzle, String> {
        let puzzle = self.to_puzzle();
        self.kind
            .rules()
            .encode(&puzzle, &self.kind.token_spec())
            .map_err(|e| e.to_string())
    }
}

impl Grid {
    /// Returns a grid of these rows, or `None` if their lengths differ or a number is out of range.
    pub fn from_rows(rows: &[Vec<i64>]) -> Option<Self> {
        let cols = rows.first().map_or(0, Vec::len);
        let cells: Option<Vec<u8>> = rows
            .iter()
            .flatten()
            .map(|&v| u8::try_from(v).ok())
            .collect();
        let is_rectangular = rows.iter().all(|row| row.len() == cols);
        cells.filter(|_| is_rectangular).map(|cells| Self {
            rows: rows.len(),
            cols,
            cells,
        })
    }

    /// Returns the value of a cell, or 0 outside the grid.
    pub(crate) fn cell(&self, i: usize) -> u8 {
        self.cells.get(i).copied().unwrap_or_default()
    }

    /// Returns the rows, in the form of the library's grids.
    pub fn to_rows(&self) -> Vec<Vec<i64>> {
        let rows = self.cells.chunks(self.cols.max(1));
        rows.map(|row| row.iter().map(|&v| i64::from(v)).collect())
            .collect()
    }
}
