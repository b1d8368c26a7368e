//! Puzzles on a board: what a person types, draws, pastes, opens, and takes back.
//!
//! A [`Board`] is the puzzle, not its answer: a grid of small values with a history. Every form that people write is read
//! by the library's `trm::task`; this module knows cells, rules that can be pointed at, and steps that can be undone.

mod history;
mod maze;
mod read;
mod sudoku;
mod text;

use std::sync::Arc;

use trm::task::{
    ArcGrid, ArcPuzzle, Content, Demonstration, Id, Maze, Problem, Puzzle, Space, Sudoku, Task, TaskKind,
    Verdict,
};

use history::History;

pub use maze::MazePath;
pub(crate) use maze::Spread;
pub(crate) use sudoku::houses;
pub use text::{Found, MAX_BYTES, find, find_file};

/// A free cell of a maze.
pub const FREE: u8 = b' ';
/// A wall of a maze.
pub const WALL: u8 = b'#';
/// Where a maze begins.
pub const START: u8 = b'S';
/// Where a maze ends.
pub const GOAL: u8 = b'G';
/// A cell of an answer's path; boards have none.
pub const PATH: u8 = b'o';
/// What an answer has in a cell that stands for nothing.
pub const NONE: u8 = b'?';

/// The sides that mazes may have.
pub const MAZE_SIDES: std::ops::RangeInclusive<usize> = 2..=50;
/// The most rows and columns of an ARC grid.
pub const ARC_SIDE: usize = 30;
/// The colours of ARC: 0 to 9.
const COLOURS: u8 = 10;

/// What a board is, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A Sudoku: digits 1 to `side`, 0 blank.
    Sudoku {
        /// Rows and columns: 4, 6 or 9.
        side: usize,
        /// Rows and columns of a box.
        boxes: [usize; 2],
    },
    /// A maze: [`WALL`], [`FREE`], [`START`], [`GOAL`].
    Maze {
        /// Rows and columns: [`MAZE_SIDES`].
        side: usize,
    },
    /// The test input of an ARC task: colours 0 to 9.
    Arc {
        /// 1 to [`ARC_SIDE`].
        rows: usize,
        /// 1 to [`ARC_SIDE`].
        cols: usize,
    },
}

/// A rectangle of values, as a board's: an answer, or a grid of an ARC task.
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
/// Boards are equal if their puzzles are, whatever their history.
#[derive(Debug, Clone)]
pub struct Board {
    kind: Kind,
    /// Row by row.
    cells: Vec<u8>,
    about: About,
    history: History,
}

/// What is known of a puzzle beside its cells.
#[derive(Debug, Clone, Default, PartialEq)]
struct About {
    id: Option<Id>,
    /// The row of the puzzle embedding.
    puzzle_id: Option<u32>,
    /// The name of the ARC task.
    task: Option<String>,
    /// The pairs of the ARC task.
    train: Arc<[Demonstration]>,
    /// The solution that came with the puzzle, and the cells that it belongs to.
    solution: Option<(Vec<u8>, Content)>,
}

impl PartialEq for Board {
    fn eq(&self, other: &Board) -> bool {
        (self.kind, &self.cells, &self.about) == (other.kind, &other.cells, &other.about)
    }
}

impl Kind {
    /// A Sudoku of 4 x 4 (boxes of 2 x 2), 6 x 6 (2 x 3) or 9 x 9 (3 x 3); any other side gives 9 x 9.
    pub fn sudoku(side: usize) -> Kind {
        let side = if [4, 6].contains(&side) { side } else { 9 };
        let boxes = Sudoku::default().boxes(side).unwrap_or([1, side]);
        Kind::Sudoku { side, boxes }
    }

    /// A maze; its side is brought into [`MAZE_SIDES`].
    pub fn maze(side: usize) -> Kind {
        Kind::Maze {
            side: side.clamp(*MAZE_SIDES.start(), *MAZE_SIDES.end()),
        }
    }

    /// An ARC grid; its sides are brought into 1 to [`ARC_SIDE`].
    pub fn arc(rows: usize, cols: usize) -> Kind {
        Kind::Arc {
            rows: rows.clamp(1, ARC_SIDE),
            cols: cols.clamp(1, ARC_SIDE),
        }
    }

    /// The kind itself where it is possible, else the nearest that is.
    pub(crate) fn possible(self) -> Kind {
        match self {
            Kind::Sudoku { side, .. } => Kind::sudoku(side),
            Kind::Maze { side } => Kind::maze(side),
            Kind::Arc { rows, cols } => Kind::arc(rows, cols),
        }
    }

    /// Rows of the board.
    pub fn rows(self) -> usize {
        match self {
            Kind::Sudoku { side, .. } | Kind::Maze { side } => side,
            Kind::Arc { rows, .. } => rows,
        }
    }

    /// Columns of the board.
    pub fn cols(self) -> usize {
        match self {
            Kind::Sudoku { side, .. } | Kind::Maze { side } => side,
            Kind::Arc { cols, .. } => cols,
        }
    }

    /// What the library calls it.
    pub fn task(self) -> TaskKind {
        match self {
            Kind::Sudoku { .. } => TaskKind::Sudoku,
            Kind::Maze { .. } => TaskKind::Maze,
            Kind::Arc { .. } => TaskKind::Arc,
        }
    }

    /// For people: `Sudoku 9 x 9`.
    pub fn name(self) -> String {
        let what = match self {
            Kind::Sudoku { .. } => "Sudoku",
            Kind::Maze { .. } => "Maze",
            Kind::Arc { .. } => "ARC",
        };
        format!("{what} {} x {}", self.rows(), self.cols())
    }

    /// The value that a token of a model stands for; `None` for padding, a mark, or a token that is none of this kind's.
    pub fn value(self, token: u32) -> Option<u8> {
        let token = u8::try_from(token).ok()?;
        match self {
            Kind::Sudoku { side, .. } => token.checked_sub(1).filter(|&d| usize::from(d) <= side),
            Kind::Maze { .. } => maze::CHARS.get(usize::from(token.checked_sub(1)?)).copied(),
            Kind::Arc { .. } => token.checked_sub(2).filter(|&c| c < COLOURS),
        }
    }

    /// The token of a value: the inverse of [`Kind::value`].
    pub fn token(self, value: u8) -> Option<u32> {
        (0..=u32::from(u8::MAX)).find(|&token| self.value(token) == Some(value))
    }

    /// What the tasks of the library must know of a model; any model of this kind will do.
    fn space(self) -> Space {
        let vocab_size = match self {
            Kind::Sudoku { side, .. } => side + 2,
            Kind::Maze { .. } => 6,
            Kind::Arc { .. } => 12,
        };
        Space {
            vocab_size,
            seq_len: None,
            num_puzzle_identifiers: 0,
        }
    }

    fn rules(self) -> Box<dyn Task> {
        match self {
            Kind::Sudoku { boxes, .. } => Box::new(Sudoku {
                box_shape: Some(boxes),
            }),
            Kind::Maze { .. } => Box::new(Maze),
            Kind::Arc { .. } => Box::new(ArcGrid::default()),
        }
    }
}

impl Board {
    /// A board of `kind` without anything on it: blanks; free cells with the start top left and the goal bottom right; black.
    pub fn empty(kind: Kind) -> Board {
        let kind = kind.possible();
        let mut cells = vec![blank(kind); kind.rows() * kind.cols()];
        if let (Kind::Maze { .. }, [first, .., last]) = (kind, cells.as_mut_slice()) {
            (*first, *last) = (START, GOAL);
        }
        Board::of(kind, cells)
    }

    /// A blank Sudoku of side 4, 6 or 9 (any other side gives 9).
    pub fn sudoku(side: usize) -> Board {
        Board::empty(Kind::sudoku(side))
    }

    /// An empty room with the start top left and the goal bottom right.
    pub fn maze(side: usize) -> Board {
        Board::empty(Kind::maze(side))
    }

    /// The test input of an ARC task, with its pairs.
    ///
    /// # Errors
    /// If the grid is none: its rows differ in length, it is too large, or a value is no colour.
    pub fn arc(task: ArcPuzzle) -> Result<Board, String> {
        Board::of_puzzle(&Content::Arc(task).into())
    }

    /// The first puzzle of a text, in any form that people write: all cells of a Sudoku, rows of a maze, JSON as trm-run
    /// takes, a task file of ARC, a table.
    ///
    /// # Errors
    /// What is wrong with the text, and what is taken.
    pub fn parse(text: &str) -> Result<Board, String> {
        text::find(text, "").map(|found| found.board)
    }

    /// The first puzzle of a file; see [`Board::parse`].
    ///
    /// # Errors
    /// If the file cannot be read, is larger than [`MAX_BYTES`], or holds no puzzle.
    pub fn open(path: &std::path::Path) -> Result<Board, String> {
        text::find_file(path).map(|found| found.board)
    }

    /// A generated board. `cells` are as many as `kind` has, and all of its kind.
    pub(crate) fn of(kind: Kind, cells: Vec<u8>) -> Board {
        Board {
            kind,
            cells,
            about: About::default(),
            history: History::default(),
        }
    }

    /// The board of a puzzle that the library has read.
    ///
    /// # Errors
    /// If it is none that this program draws. A puzzle that breaks its own rules is one: the rules show on the board.
    pub fn of_puzzle(puzzle: &Puzzle) -> Result<Board, String> {
        let (kind, cells) = read::cells(puzzle)?;
        let mut board = Board::of(kind, cells);
        board.about.id = puzzle.id.clone();
        board.about.puzzle_id = puzzle.puzzle_id;
        if let Content::Arc(arc) = &puzzle.content {
            board.about.task = arc.task.clone();
            board.about.train = arc.train.clone();
        }
        if let Some(solution) = &puzzle.solution {
            let possible = board.check().is_ok();
            board.about.solution = Some((board.cells.clone(), solution.clone()));
            if possible {
                board.check()?;
            }
        }
        Ok(board)
    }

    /// What the board is, and how large.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Rows of the board.
    pub fn rows(&self) -> usize {
        self.kind.rows()
    }

    /// Columns of the board.
    pub fn cols(&self) -> usize {
        self.kind.cols()
    }

    /// All cells, row by row.
    pub fn cells(&self) -> &[u8] {
        &self.cells
    }

    /// The value of a cell: a digit (0 blank), a maze's character, a colour. Outside the board it is blank.
    pub fn cell(&self, i: usize) -> u8 {
        self.cells.get(i).copied().unwrap_or(blank(self.kind))
    }

    /// What the puzzle is called, where it has a name: its first characters, fit to be shown.
    pub fn name(&self) -> Option<String> {
        let name = self
            .about
            .task
            .clone()
            .or(self.about.id.as_ref().map(Id::to_string))?;
        Some(name.chars().filter(|c| !c.is_control()).take(80).collect())
    }

    /// Gives a cell another value and returns whether the board changed; outside of a stroke it is one step of the history.
    ///
    /// Refused are values that this kind does not have. In a maze the start and the goal move (the cell that they leave is
    /// free), and nothing else takes their place.
    pub fn set(&mut self, i: usize, value: u8) -> bool {
        let Some(&old) = self.cells.get(i) else {
            return false;
        };
        let is_end = |value| matches!(value, START | GOAL);
        let allowed = match self.kind {
            Kind::Sudoku { side, .. } => usize::from(value) <= side,
            Kind::Maze { .. } => matches!(value, WALL | FREE | START | GOAL) && !is_end(old),
            Kind::Arc { .. } => value < COLOURS,
        };
        if !allowed || old == value {
            return false;
        }
        let single = self.history.begin();
        if is_end(value) && matches!(self.kind, Kind::Maze { .. }) {
            while let Some(left) = self.cells.iter().position(|&cell| cell == value) {
                self.history.write(&mut self.cells, left, FREE);
            }
        }
        self.history.write(&mut self.cells, i, value);
        if single {
            self.history.end();
        }
        true
    }

    /// Begins a stroke of the mouse: all changes until [`Board::end_stroke`] are one step of the history.
    pub fn begin_stroke(&mut self) {
        self.history.begin();
    }

    /// Ends the stroke.
    pub fn end_stroke(&mut self) {
        self.history.end();
    }

    /// Empties the board, in one step of the history. A maze keeps its start and its goal.
    pub fn clear(&mut self) {
        self.history.end();
        self.history.begin();
        let blank = blank(self.kind);
        for i in 0..self.cells.len() {
            let is_end = matches!(self.kind, Kind::Maze { .. }) && matches!(self.cell(i), START | GOAL);
            if !is_end {
                self.history.write(&mut self.cells, i, blank);
            }
        }
        self.history.end();
    }

    /// Takes the last step back; false if there is none. A stroke that has not ended ends here.
    pub fn undo(&mut self) -> bool {
        self.history.undo(&mut self.cells)
    }

    /// Does the step again that was taken back last; false if there is none.
    pub fn redo(&mut self) -> bool {
        self.history.redo(&mut self.cells)
    }

    /// Whether there is a step to take back.
    pub fn can_undo(&self) -> bool {
        self.history.can_undo()
    }

    /// Whether there is a step to do again.
    pub fn can_redo(&self) -> bool {
        self.history.can_redo()
    }

    /// Whether an answer must keep this cell as it is: a digit; a wall or an end of a maze. ARC has no such cells.
    pub fn is_given(&self, i: usize) -> bool {
        match self.kind {
            Kind::Arc { .. } => false,
            _ => self.cell(i) != blank(self.kind),
        }
    }

    /// The cells that break a rule, in their order: of the puzzle, or of an answer, which has the values of
    /// [`Board::answer`].
    ///
    /// - Sudoku: digits that a row, a column or a box holds twice; of an answer also clues that it changed, and cells
    ///   without a digit.
    /// - Maze: cells of an answer that are neither as they were nor became path; where the path is broken, both sides of
    ///   the break ([`MazePath::gap`]), and path that hangs on neither end. A maze itself: both ends if no way joins them.
    /// - ARC: cells that differ from the solution, if one of the same size came with the task; then the indices are those
    ///   of the answer.
    ///
    /// An answer of another length is not looked at.
    pub fn conflicts(&self, answer: Option<&[u8]>) -> Vec<usize> {
        let answer = answer.filter(|a| a.len() == self.cells.len() || matches!(self.kind, Kind::Arc { .. }));
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

    /// The path of an answer to a maze; of any other kind an empty one.
    pub fn path(&self, answer: &[u8]) -> MazePath {
        match self.kind {
            Kind::Maze { side } if answer.len() == self.cells.len() => maze::path(&self.cells, answer, side),
            _ => MazePath::default(),
        }
    }

    /// The puzzle for a solver.
    pub fn to_puzzle(&self) -> Puzzle {
        let lines = |cell: fn(u8) -> char| {
            self.cells
                .chunks(self.cols())
                .map(move |row| row.iter().map(|&v| cell(v)).collect::<String>())
        };
        let content = match self.kind {
            Kind::Sudoku { .. } => Content::Text(lines(sudoku::char_of).collect()),
            Kind::Maze { .. } => Content::Rows(lines(char::from).collect()),
            Kind::Arc { .. } => Content::Arc(ArcPuzzle {
                task: self.about.task.clone(),
                train: self.about.train.clone(),
                test: self.grid().to_rows(),
            }),
        };
        let solution = self
            .about
            .solution
            .as_ref()
            .filter(|(cells, _)| *cells == self.cells);
        Puzzle {
            id: self.about.id.clone(),
            content,
            solution: solution.map(|(_, solution)| solution.clone()),
            task: None,
            puzzle_id: self.about.puzzle_id,
        }
    }

    /// The puzzle as text that [`Board::parse`] reads: the cells of a Sudoku on one line, a maze's rows, an ARC task as JSON.
    pub fn to_text(&self) -> String {
        text::print(self)
    }

    /// The pairs of input and output that an ARC task shows.
    pub fn demonstrations(&self) -> Vec<Demonstration> {
        self.about.train.to_vec()
    }

    /// The cells as a grid.
    pub fn grid(&self) -> Grid {
        Grid {
            rows: self.rows(),
            cols: self.cols(),
            cells: self.cells.clone(),
        }
    }

    /// The solution that came with the puzzle, while the puzzle is as it came.
    pub fn solution(&self) -> Option<Grid> {
        let (cells, solution) = self.about.solution.as_ref()?;
        (*cells == self.cells).then(|| self.answer(solution))
    }

    /// An answer as the library gives it (`PuzzleStep::answer`) to the puzzle of [`Board::to_puzzle`], as values: digits (0
    /// none), a maze's characters with [`PATH`], colours. A cell that is none of these is [`NONE`].
    pub fn answer(&self, answer: &Content) -> Grid {
        read::answer(self.kind, answer)
    }

    /// What the rules say of an answer's tokens; `Err` as [`Board::check`].
    ///
    /// # Errors
    /// If the puzzle itself cannot be solved.
    pub fn verdict(&self, tokens: &[u32]) -> Result<Verdict, String> {
        Ok(self.kind.rules().verify(&self.encode()?, tokens))
    }

    /// Whether a model may be asked to solve the puzzle.
    ///
    /// # Errors
    /// Why not: the givens contradict each other, no way joins the ends of a maze.
    pub fn check(&self) -> Result<(), String> {
        self.encode().map(|_| ())
    }

    fn encode(&self) -> Result<Problem, String> {
        let puzzle = self.to_puzzle();
        self.kind
            .rules()
            .encode(&puzzle, &self.kind.space())
            .map_err(|e| e.to_string())
    }
}

impl Grid {
    /// A grid of rows of numbers; `None` if its rows differ in length or a number is no value.
    pub fn of_rows(rows: &[Vec<i64>]) -> Option<Grid> {
        let cols = rows.first().map_or(0, Vec::len);
        let cells: Option<Vec<u8>> = rows.iter().flatten().map(|&v| u8::try_from(v).ok()).collect();
        let same = rows.iter().all(|row| row.len() == cols);
        cells.filter(|_| same).map(|cells| Grid {
            rows: rows.len(),
            cols,
            cells,
        })
    }

    /// Its rows, as the library writes grids.
    pub fn to_rows(&self) -> Vec<Vec<i64>> {
        let rows = self.cells.chunks(self.cols.max(1));
        rows.map(|row| row.iter().map(|&v| i64::from(v)).collect())
            .collect()
    }
}

fn blank(kind: Kind) -> u8 {
    match kind {
        Kind::Maze { .. } => FREE,
        _ => 0,
    }
}
