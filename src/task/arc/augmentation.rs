//! Augmentations of ARC tasks: rotations, reflections and permutations of the colours.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::random::Random;
use crate::task::common::escape_name;

/// A dihedral transform and a permutation of the colours.
///
/// The published training applies augmentations to all grids of a task. An augmentation is written
/// as `t3|||0213456789`: the number of the transform, then the new colours of the colours 0 to 9.
///
/// ```
/// # use trm_runtime::task::Augmentation;
/// let augmentation: Augmentation = "t1|||0213456789".parse()?;
/// let grid = vec![vec![0, 1, 2]];
/// assert_eq!(augmentation.apply(&grid), [[1], [2], [0]]);
/// assert_eq!(augmentation.undo(&augmentation.apply(&grid)), grid);
/// # Ok::<(), trm_runtime::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Augmentation {
    transform: Dihedral,
    /// The new colour of each colour.
    colors: [u8; 10],
}

/// The symmetries of a square, numbered as in the published code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Dihedral {
    Identity,
    /// Counter-clockwise, as are the next two.
    Rotate90,
    Rotate180,
    Rotate270,
    /// Swaps left and right.
    FlipLeftRight,
    /// Swaps top and bottom.
    FlipUpDown,
    /// Reflects at the main diagonal.
    Transpose,
    /// Reflects at the other diagonal.
    AntiTranspose,
}

/// The transforms by their published number.
const TRANSFORMS: [Dihedral; 8] = [
    Dihedral::Identity,
    Dihedral::Rotate90,
    Dihedral::Rotate180,
    Dihedral::Rotate270,
    Dihedral::FlipLeftRight,
    Dihedral::FlipUpDown,
    Dihedral::Transpose,
    Dihedral::AntiTranspose,
];

impl Dihedral {
    fn inverse(self) -> Self {
        match self {
            Self::Rotate90 => Self::Rotate270,
            Self::Rotate270 => Self::Rotate90,
            self_inverse => self_inverse,
        }
    }

    /// Returns the source (row, column), in a grid of `rows` x `cols` cells, of the cell in row
    /// `i`, column `j` of the transformed grid.
    fn source(self, i: usize, j: usize, rows: usize, cols: usize) -> (usize, usize) {
        match self {
            Self::Identity => (i, j),
            Self::Rotate90 => (j, cols - 1 - i),
            Self::Rotate180 => (rows - 1 - i, cols - 1 - j),
            Self::Rotate270 => (rows - 1 - j, i),
            Self::FlipLeftRight => (i, cols - 1 - j),
            Self::FlipUpDown => (rows - 1 - i, j),
            Self::Transpose => (j, i),
            Self::AntiTranspose => (rows - 1 - j, cols - 1 - i),
        }
    }

    /// Transforms a grid and applies `map` to each cell.
    ///
    /// A grid whose rows differ in length is returned unchanged. No task accepts such a grid.
    fn apply(self, grid: &[Vec<i64>], map: impl Fn(i64) -> i64) -> Vec<Vec<i64>> {
        let (rows, cols) = (grid.len(), grid.first().map_or(0, Vec::len));
        if grid.iter().any(|row| row.len() != cols) {
            return grid.to_vec();
        }
        let swaps_sides = matches!(
            self,
            Self::Rotate90 | Self::Rotate270 | Self::Transpose | Self::AntiTranspose
        );
        let (height, width) = if swaps_sides {
            (cols, rows)
        } else {
            (rows, cols)
        };
        let cell = |i, j| {
            let (r, c) = self.source(i, j, rows, cols);
            map(grid[r][c])
        };
        (0..height)
            .map(|i| (0..width).map(|j| cell(i, j)).collect())
            .collect()
    }
}

impl Augmentation {
    /// The augmentation that leaves every grid unchanged.
    pub const IDENTITY: Self = Self {
        transform: Dihedral::Identity,
        colors: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    };

    /// Creates an augmentation from the published number of a transform, 0 to 7, and the new colour
    /// of each colour.
    ///
    /// # Errors
    /// If there is no such transform, or if `colors` is not a permutation of 0 to 9.
    pub fn new(transform: usize, colors: [u8; 10]) -> Result<Self> {
        let transform = *TRANSFORMS.get(transform).ok_or_else(|| {
            Error::argument(format!(
                "t{transform} is not a transform: the transforms are t0 to t7"
            ))
        })?;
        match (0..10).all(|color| colors.contains(&color)) {
            true => Ok(Self { transform, colors }),
            false => Err(Error::argument(
                "the colours are not a permutation of 0 to 9",
            )),
        }
    }

    /// Returns a random augmentation. Black (0) stays black, as in the published training.
    pub fn random(random: &mut Random) -> Self {
        let mut augmentation = Self::IDENTITY;
        augmentation.transform = TRANSFORMS[random.below(TRANSFORMS.len())];
        random.shuffle(&mut augmentation.colors[1..]);
        augmentation
    }

    /// Applies the augmentation to a grid of colours.
    ///
    /// A grid whose rows differ in length is returned unchanged;
    /// [`Task::encode`](super::super::Task::encode) rejects it.
    pub fn apply(&self, grid: &[Vec<i64>]) -> Vec<Vec<i64>> {
        self.transform
            .apply(grid, |value| recolor(&self.colors, value))
    }

    /// Reverts [`Augmentation::apply`].
    pub fn undo(&self, grid: &[Vec<i64>]) -> Vec<Vec<i64>> {
        let mut inverse = [0; 10];
        for (color, &new_color) in (0u8..).zip(&self.colors) {
            inverse[usize::from(new_color)] = color;
        }
        self.transform
            .inverse()
            .apply(grid, |value| recolor(&inverse, value))
    }
}

/// Returns the new colour of a cell. A value that is not a colour is returned unchanged.
fn recolor(colors: &[u8; 10], value: i64) -> i64 {
    let new_color = usize::try_from(value)
        .ok()
        .and_then(|color| colors.get(color));
    new_color.map_or(value, |&color| color.into())
}

impl fmt::Display for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}|||", self.transform as usize)?;
        self.colors.iter().try_for_each(|color| color.fmt(f))
    }
}

impl FromStr for Augmentation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let parts = || {
            let (transform, colors) = name.strip_prefix('t')?.split_once("|||")?;
            let digits = colors
                .bytes()
                .map(|digit| digit.wrapping_sub(b'0'))
                .collect::<Vec<_>>();
            Some((transform.parse().ok()?, digits.try_into().ok()?))
        };
        let (transform, colors) = parts().ok_or_else(|| {
            Error::argument(format!(
                "\"{}\" is not an augmentation: the form is t3|||0213456789 (transform, then \
                 colours)",
                escape_name(name)
            ))
        })?;
        Self::new(transform, colors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grids() -> impl Strategy<Value = Vec<Vec<i64>>> {
        (1..=30usize, 1..=30usize).prop_flat_map(|(rows, cols)| {
            prop::collection::vec(prop::collection::vec(0..10i64, cols), rows)
        })
    }

    proptest! {
        #[test]
        fn undo_reverts_every_augmentation(
            grid in grids(),
            transform in 0..8usize,
            colors in Just([0, 1, 2, 3, 4, 5, 6, 7, 8, 9u8]).prop_shuffle(),
        ) {
            let augmentation = Augmentation::new(transform, colors).unwrap();
            let parsed: Augmentation = augmentation.to_string().parse().unwrap();
            prop_assert_eq!(parsed, augmentation);
            prop_assert_eq!(augmentation.undo(&augmentation.apply(&grid)), grid);
        }
    }

    /// The results of NumPy: rot90 with k = 1, 2, 3, fliplr, flipud, the transpose, fliplr of
    /// rot90.
    #[test]
    fn transforms_are_the_published_ones() {
        let transformed = |t| {
            Augmentation::new(t, Augmentation::IDENTITY.colors)
                .unwrap()
                .apply(&[vec![1, 2, 3], vec![4, 5, 6]])
        };
        let rows = |rows: &[&[i64]]| rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
        assert_eq!(transformed(0), rows(&[&[1, 2, 3], &[4, 5, 6]]));
        assert_eq!(transformed(1), rows(&[&[3, 6], &[2, 5], &[1, 4]]));
        assert_eq!(transformed(2), rows(&[&[6, 5, 4], &[3, 2, 1]]));
        assert_eq!(transformed(3), rows(&[&[4, 1], &[5, 2], &[6, 3]]));
        assert_eq!(transformed(4), rows(&[&[3, 2, 1], &[6, 5, 4]]));
        assert_eq!(transformed(5), rows(&[&[4, 5, 6], &[1, 2, 3]]));
        assert_eq!(transformed(6), rows(&[&[1, 4], &[2, 5], &[3, 6]]));
        assert_eq!(transformed(7), rows(&[&[6, 3], &[5, 2], &[4, 1]]));
    }

    #[test]
    fn grids_that_cannot_be_transformed_stay_unchanged() {
        let ragged = vec![vec![1, 2], vec![3]];
        for transform in 0..8 {
            let augmentation = Augmentation::new(transform, Augmentation::IDENTITY.colors).unwrap();
            assert_eq!(augmentation.apply(&ragged), ragged);
            assert!(augmentation.apply(&[]).is_empty());
        }
    }

    #[test]
    fn malformed_augmentations_are_errors() {
        for name in [
            "",
            "t8|||0123456789",
            "t1|||0123456788",
            "t1|||012345678",
            "1|||0123456789",
            "t1|||abcdefghij",
        ] {
            assert!(name.parse::<Augmentation>().is_err(), "{name}");
        }
    }

    /// Checks all grids of a file of tasks:
    /// `TRM_ARC_TASKS=FILE cargo test --lib all_grids -- --ignored`.
    #[test]
    #[ignore = "needs a file of tasks"]
    fn all_grids_of_a_file_come_back_from_every_transform() {
        let file = std::env::var("TRM_ARC_TASKS").expect("TRM_ARC_TASKS is a file of ARC tasks");
        let tasks: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let mut grids = 0;
        for task in tasks.as_object().unwrap().values() {
            let pairs = ["train", "test"]
                .iter()
                .flat_map(|part| task[part].as_array().unwrap());
            let sides = ["input", "output"];
            for grid in pairs.flat_map(|pair| sides.iter().filter_map(|side| pair.get(side))) {
                let grid: Vec<Vec<i64>> = serde_json::from_value(grid.clone()).unwrap();
                for transform in 0..8 {
                    let augmentation =
                        Augmentation::new(transform, [0, 2, 1, 3, 9, 5, 6, 7, 8, 4]).unwrap();
                    assert_eq!(augmentation.undo(&augmentation.apply(&grid)), grid);
                }
                grids += 1;
            }
        }
        eprintln!("{grids} grids");
        assert!(grids > 0);
    }
}
