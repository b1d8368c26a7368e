//! Which answer many predictions of the same grid come to.

use std::collections::HashMap;
use std::sync::Arc;

/// Predictions of one test output, equal ones pooled. The published evaluation of ARC ranks them by their number, then by the mean
/// halting probability, and hands in the first two.
#[derive(Debug, Clone, Default)]
pub struct Votes {
    candidates: Vec<Candidate>,
    places: HashMap<Packed, usize>,
}

/// A grid that was predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    grid: Packed,
    /// How often it was predicted.
    pub votes: usize,
    /// Halting probabilities, added up.
    sum: f64,
}

impl Candidate {
    /// The grid.
    pub fn grid(&self) -> Vec<Vec<i64>> {
        self.grid.unpack()
    }

    /// The mean halting probability of its predictions.
    pub fn probability(&self) -> f64 {
        self.sum / self.votes as f64
    }
}

impl Votes {
    /// Takes a prediction, brought back into the task's own form: a grid of colours.
    pub fn add(&mut self, grid: &[Vec<i64>], halt_probability: f64) {
        let candidates = &mut self.candidates;
        let place = *self.places.entry(Packed::of(grid)).or_insert_with_key(|grid| {
            candidates.push(Candidate {
                grid: grid.clone(),
                votes: 0,
                sum: 0.0,
            });
            candidates.len() - 1
        });
        candidates[place].votes += 1;
        candidates[place].sum += halt_probability;
    }

    /// The best first; of equals, the one that was predicted first.
    pub fn ranked(&self) -> Vec<&Candidate> {
        let mut ranked: Vec<&Candidate> = self.candidates.iter().collect();
        ranked.sort_by(|a, b| {
            let probability = || b.probability().total_cmp(&a.probability());
            b.votes.cmp(&a.votes).then_with(probability)
        });
        ranked
    }
}

/// A grid of colours, a byte each, the number of columns before them: thousands are kept at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Packed(Arc<[u8]>);

impl Packed {
    fn of(grid: &[Vec<i64>]) -> Packed {
        let byte = |cell: &i64| u8::try_from(*cell).unwrap_or(u8::MAX);
        let cols = grid.first().map_or(0, Vec::len) as i64;
        Packed(
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
