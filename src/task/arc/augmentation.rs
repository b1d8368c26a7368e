//! The forms in which ARC training shows a task: turned or mirrored, and with other colours.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::random::Random;

/// A dihedral transform and a permutation of the colours, which the published training puts every grid of a task through. Its
/// name is `t3|||0213456789`: the transform's number, and what each of the colours 0 to 9 becomes.
///
/// ```
/// # use trm_runtime::task::Form;
/// let form: Form = "t1|||0213456789".parse()?;
/// let grid = vec![vec![0, 1, 2]];
/// assert_eq!(form.apply(&grid), [[1], [2], [0]]);
/// assert_eq!(form.undo(&form.apply(&grid)), grid);
/// # Ok::<(), trm_runtime::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Form {
    turn: Turn,
    /// What each colour becomes.
    colours: [u8; 10],
}

/// The symmetries of a square, numbered as in the published code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Turn {
    None,
    /// A quarter turn against the clock.
    Left,
    Half,
    Right,
    /// Left becomes right.
    LeftRight,
    /// Top becomes bottom.
    UpDown,
    /// Rows become columns.
    Transpose,
    /// Across the other diagonal.
    AntiTranspose,
}

const TURNS: [Turn; 8] = [
    Turn::None,
    Turn::Left,
    Turn::Half,
    Turn::Right,
    Turn::LeftRight,
    Turn::UpDown,
    Turn::Transpose,
    Turn::AntiTranspose,
];

impl Turn {
    fn inverse(self) -> Turn {
        match self {
            Turn::Left => Turn::Right,
            Turn::Right => Turn::Left,
            own => own,
        }
    }

    /// Where the cell in row `i`, column `j` of the turned grid comes from in a grid of `rows` x `cols`.
    fn source(self, i: usize, j: usize, rows: usize, cols: usize) -> (usize, usize) {
        match self {
            Turn::None => (i, j),
            Turn::Left => (j, cols - 1 - i),
            Turn::Half => (rows - 1 - i, cols - 1 - j),
            Turn::Right => (rows - 1 - j, i),
            Turn::LeftRight => (i, cols - 1 - j),
            Turn::UpDown => (rows - 1 - i, j),
            Turn::Transpose => (j, i),
            Turn::AntiTranspose => (rows - 1 - j, cols - 1 - i),
        }
    }

    /// The turned grid, each of its cells through `map`. Rows of different lengths cannot be turned: such a grid, which no task accepts, stays as it is.
    fn apply(self, grid: &[Vec<i64>], map: impl Fn(i64) -> i64) -> Vec<Vec<i64>> {
        let (rows, cols) = (grid.len(), grid.first().map_or(0, Vec::len));
        if grid.iter().any(|row| row.len() != cols) {
            return grid.to_vec();
        }
        let lies = matches!(
            self,
            Turn::Left | Turn::Right | Turn::Transpose | Turn::AntiTranspose
        );
        let (height, width) = if lies { (cols, rows) } else { (rows, cols) };
        let cell = |i, j| {
            let (r, c) = self.source(i, j, rows, cols);
            map(grid[r][c])
        };
        (0..height)
            .map(|i| (0..width).map(|j| cell(i, j)).collect())
            .collect()
    }
}

impl Form {
    /// Grids as they are.
    pub const PLAIN: Form = Form {
        turn: Turn::None,
        colours: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    };

    /// A transform by its published number, 0 to 7, and what each colour becomes.
    ///
    /// # Errors
    /// There is no such transform, or two colours become the same.
    pub fn new(transform: usize, colours: [u8; 10]) -> Result<Form> {
        let turn = *TURNS
            .get(transform)
            .ok_or_else(|| Error::argument(format!("t{transform} is no transform: they are t0 to t7")))?;
        match (0..10).all(|colour| colours.contains(&colour)) {
            true => Ok(Form { turn, colours }),
            false => Err(Error::argument("the colours are not 0 to 9, each once")),
        }
    }

    /// Any form; black stays black, as in the published training.
    pub fn random(random: &mut Random) -> Form {
        let mut form = Form::PLAIN;
        form.turn = TURNS[random.below(TURNS.len())];
        random.shuffle(&mut form.colours[1..]);
        form
    }

    /// A grid of colours in this form; one whose rows differ in length stays as it is, for [`Task::encode`](super::super::Task::encode) to refuse.
    pub fn apply(&self, grid: &[Vec<i64>]) -> Vec<Vec<i64>> {
        self.turn.apply(grid, |value| recolour(&self.colours, value))
    }

    /// The grid that [`Form::apply`] makes `grid` of.
    pub fn undo(&self, grid: &[Vec<i64>]) -> Vec<Vec<i64>> {
        let mut back = [0; 10];
        for (colour, &becomes) in (0u8..).zip(&self.colours) {
            back[usize::from(becomes)] = colour;
        }
        self.turn.inverse().apply(grid, |value| recolour(&back, value))
    }
}

/// What is no colour stays as it is.
fn recolour(colours: &[u8; 10], value: i64) -> i64 {
    let becomes = usize::try_from(value).ok().and_then(|colour| colours.get(colour));
    becomes.map_or(value, |&colour| colour.into())
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}|||", self.turn as usize)?;
        self.colours.iter().try_for_each(|colour| colour.fmt(f))
    }
}

impl FromStr for Form {
    type Err = Error;

    fn from_str(name: &str) -> Result<Form> {
        let parts = || {
            let (transform, colours) = name.strip_prefix('t')?.split_once("|||")?;
            let digits = colours
                .bytes()
                .map(|digit| digit.wrapping_sub(b'0'))
                .collect::<Vec<_>>();
            Some((transform.parse().ok()?, digits.try_into().ok()?))
        };
        let (transform, colours) = parts().ok_or_else(|| {
            Error::argument("a form of an ARC task is written like t3|||0213456789: transform, then colours")
        })?;
        Form::new(transform, colours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grids() -> impl Strategy<Value = Vec<Vec<i64>>> {
        (1..=30usize, 1..=30usize)
            .prop_flat_map(|(rows, cols)| prop::collection::vec(prop::collection::vec(0..10i64, cols), rows))
    }

    proptest! {
        #[test]
        fn every_form_comes_back(grid in grids(), turn in 0..8usize, colours in Just([0, 1, 2, 3, 4, 5, 6, 7, 8, 9u8]).prop_shuffle()) {
            let form = Form::new(turn, colours).unwrap();
            prop_assert_eq!(form.to_string().parse::<Form>().unwrap(), form);
            prop_assert_eq!(form.undo(&form.apply(&grid)), grid);
        }
    }

    /// What numpy gives: rot90 with k = 1, 2, 3, fliplr, flipud, the transpose, fliplr of rot90.
    #[test]
    fn transforms_are_the_published_ones() {
        let turned = |t| {
            Form::new(t, Form::PLAIN.colours)
                .unwrap()
                .apply(&[vec![1, 2, 3], vec![4, 5, 6]])
        };
        let rows = |rows: &[&[i64]]| rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
        assert_eq!(turned(0), rows(&[&[1, 2, 3], &[4, 5, 6]]));
        assert_eq!(turned(1), rows(&[&[3, 6], &[2, 5], &[1, 4]]));
        assert_eq!(turned(2), rows(&[&[6, 5, 4], &[3, 2, 1]]));
        assert_eq!(turned(3), rows(&[&[4, 1], &[5, 2], &[6, 3]]));
        assert_eq!(turned(4), rows(&[&[3, 2, 1], &[6, 5, 4]]));
        assert_eq!(turned(5), rows(&[&[4, 5, 6], &[1, 2, 3]]));
        assert_eq!(turned(6), rows(&[&[1, 4], &[2, 5], &[3, 6]]));
        assert_eq!(turned(7), rows(&[&[6, 3], &[5, 2], &[4, 1]]));
    }

    #[test]
    fn what_cannot_be_turned_stays() {
        let ragged = vec![vec![1, 2], vec![3]];
        for turn in 0..8 {
            let form = Form::new(turn, Form::PLAIN.colours).unwrap();
            assert_eq!(form.apply(&ragged), ragged);
            assert!(form.apply(&[]).is_empty());
        }
    }

    #[test]
    fn what_is_no_form_is_told() {
        for name in [
            "",
            "t8|||0123456789",
            "t1|||0123456788",
            "t1|||012345678",
            "1|||0123456789",
            "t1|||abcdefghij",
        ] {
            assert!(name.parse::<Form>().is_err(), "{name}");
        }
    }

    /// All grids of a file of tasks: `TRM_ARC_TASKS=FILE cargo test --lib all_grids -- --ignored`.
    #[test]
    #[ignore = "needs a file of tasks"]
    fn all_grids_of_a_file_come_back_from_every_transform() {
        let file = std::env::var("TRM_ARC_TASKS").expect("TRM_ARC_TASKS is a file of ARC tasks");
        let tasks: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let mut grids = 0;
        for task in tasks.as_object().unwrap().values() {
            let pairs = ["train", "test"]
                .iter()
                .flat_map(|part| task[part].as_array().unwrap());
            for grid in pairs.flat_map(|pair| ["input", "output"].iter().filter_map(|side| pair.get(side))) {
                let grid: Vec<Vec<i64>> = serde_json::from_value(grid.clone()).unwrap();
                for turn in 0..8 {
                    let form = Form::new(turn, [0, 2, 1, 3, 9, 5, 6, 7, 8, 4]).unwrap();
                    assert_eq!(form.undo(&form.apply(&grid)), grid);
                }
                grids += 1;
            }
        }
        eprintln!("{grids} grids");
        assert!(grids > 0);
    }
}
