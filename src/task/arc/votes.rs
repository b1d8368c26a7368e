//! Combines many predictions of one grid by vote.

use std::collections::HashMap;
use std::sync::Arc;

/// Predictions of one test output, counted per grid.
///
/// The published evaluation of ARC ranks the grids by their number of votes, then by their mean
/// halting probability, and submits the first two.
#[derive(Debug, Clone, Default)]
pub struct Votes {
    candidates: Vec<Candidate>,
    /// The index in `candidates` of each grid.
    indices: HashMap<PackedGrid, usize>,
}

/// A predicted grid and its votes.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    grid: PackedGrid,
    /// The number of predictions of this grid.
    pub votes: usize,
    /// The sum of the halting probabilities of these predictions.
    halt_probability_sum: f64,
}

impl Candidate {
    /// Returns the grid, one list of colours per row.
    pub fn grid(&self) -> Vec<Vec<i64>> {
        self.grid.unpack()
    }

    /// Returns the mean halting probability of the predictions.
    pub fn halt_probability(&self) -> f64 {
        self.halt_probability_sum / self.votes as f64
    }
}

impl Votes {
    /// Adds a prediction: a grid of colours, with the augmentation undone.
    pub fn add(&mut self, grid: &[Vec<i64>], halt_probability: f64) {
        let candidates = &mut self.candidates;
        let index = *self
            .indices
            .entry(PackedGrid::of(grid))
            .or_insert_with_key(|grid| {
                candidates.push(Candidate {
                    grid: grid.clone(),
                    votes: 0,
                    halt_probability_sum: 0.0,
                });
                candidates.len() - 1
            });
        candidates[index].votes += 1;
        candidates[index].halt_probability_sum += halt_probability;
    }

    /// Returns the candidates, best first. Equal candidates are in the order of their first
    /// prediction.
    pub fn ranked(&self) -> Vec<&Candidate> {
        let mut ranked: Vec<&Candidate> = self.candidates.iter().collect();
        ranked.sort_by(|a, b| {
            let by_probability = || b.halt_probability().total_cmp(&a.halt_probability());
            b.votes.cmp(&a.votes).then_with(by_probability)
        });
        ranked
    }
}

/// A grid as bytes: the number of columns, then one byte per cell. A vote can hold thousands of
/// grids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PackedGrid(Arc<[u8]>);

impl PackedGrid {
    fn of(grid: &[Vec<i64>]) -> Self {
        let byte = |cell: &i64| u8::try_from(*cell).unwrap_or(u8::MAX);
        let cols = grid.first().map_or(0, Vec::len) as i64;
        Self(
            std::iter::once(&cols)
                .chain(grid.iter().flatten())
                .map(byte)
                .collect(),
        )
    }

    fn unpack(&self) -> Vec<Vec<i64>> {
        let Some((&cols, cells)) = self.0.split_first() else {
            return Vec::new();
        };
        cells
            .chunks(usize::from(cols).max(1))
            .map(|row| row.iter().map(|&cell| cell.into()).collect())
            .collect()
    }
}
