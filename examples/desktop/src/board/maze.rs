//! Mazes: the path of an answer, and where it breaks.

/// Token t is character t - 1.
pub(super) const CHARS: [u8; 5] = *b"# SGo";

/// The path of an answer to a maze.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MazePath {
    /// The way from the start over path cells: to the goal where it is connected, else to the break.
    pub walk: Vec<usize>,
    /// Where it is not connected: the way from behind the break to the goal.
    pub rest: Vec<usize>,
    /// Whether path cells join the start and the goal.
    pub connected: bool,
    /// Where it is not connected: the nearest cells of the piece at the start and of the piece at the goal.
    pub gap: Option<[usize; 2]>,
    /// Path cells on neither way, in their order.
    pub loose: Vec<usize>,
}

pub(super) fn path(_maze: &[u8], _answer: &[u8], _side: usize) -> MazePath {
    MazePath::default()
}

pub(super) fn conflicts(_maze: &[u8], _answer: Option<&[u8]>, _side: usize) -> Vec<usize> {
    Vec::new()
}
