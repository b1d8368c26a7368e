//! The loops of every instruction set, one by one, against f64.

use super::*;
use crate::backend::cpu::Instructions;

fn all() -> impl Iterator<Item = Simd> {
    Instructions::ALL.into_iter().filter_map(|i| {
        let simd = Simd::of(i);
        if simd.is_none() {
            eprintln!("skipped: this machine has no {}", i.name());
        }
        simd
    })
}

/// Reproducible values in -1 .. 1.
fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// The largest difference from `sum of a(i, k) b(k, j)` for `[m, n, k]`, beside the first value of each element.
fn difference(
    [m, n, k]: [usize; 3],
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
    before: f32,
    got: impl Fn(usize, usize) -> f32,
) -> f64 {
    let mut worst = 0.0f64;
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let exact: f64 = (0..k).map(|k| a(i, k) as f64 * b(k, j) as f64).sum();
        let difference = (exact + before as f64 - got(i, j) as f64).abs();
        worst = worst.max(if difference.is_nan() {
            f64::INFINITY
        } else {
            difference
        });
    }
    worst
}

/// Products of every height and some widths and depths: right, nothing beside the tile touched, a wrong element seen.
#[test]
fn products_of_every_tile() {
    for simd in all() {
        let cols = simd.cols();
        for (m, n, k) in (0..=simd.rows())
            .flat_map(|m| [0, 1, cols / 2, cols - 1, cols].map(|n| (m, n)))
            .flat_map(|(m, n)| [0, 1, 2, 33, 97].map(|k| (m, n, k)))
        {
            let panel = noise(k * cols, 1);
            for rows in [true, false] {
                let stride = if rows { k + 3 } else { simd.rows() + 5 };
                let a = noise(stride * m.max(k), 2);
                let at = |i: usize, k: usize| a[if rows { i * stride + k } else { k * stride + i }];
                let mut out = vec![7.0; (m + 1) * (cols + 2)];
                let tile = Tile::of(&mut out, m, n, cols + 2);
                if rows {
                    simd.product_rows(&a, stride, k, &panel, tile);
                } else {
                    simd.product_columns(&a, stride, k, &panel, tile, true);
                }
                let before = if rows { 0.0 } else { 7.0 };
                let b = |k: usize, j: usize| panel[k * cols + j];
                let got = |out: &[f32], i: usize, j: usize| out[i * (cols + 2) + j];
                let worst = difference([m, n, k], at, b, before, |i, j| got(&out, i, j));
                assert!(worst < 1e-5, "{simd:?} {m} {n} {k} {rows}: {worst}");
                let inside = |x: usize| x / (cols + 2) < m && x % (cols + 2) < n;
                assert!(
                    out.iter().enumerate().all(|(x, v)| inside(x) || *v == 7.0),
                    "{simd:?} {m} {n} {k}"
                );
                // The planted bug: the last element a little off.
                if m * n > 0 {
                    out[(m - 1) * (cols + 2) + n - 1] += 1e-3;
                    assert!(difference([m, n, k], at, b, before, |i, j| got(&out, i, j)) > 1e-5);
                }
            }
        }
    }
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

#[test]
fn gates_by_columns_and_by_rows() {
    for simd in all() {
        let (rows, cols, k) = (simd.rows(), simd.cols(), 19);
        let (half_rows, half_cols) = (rows / 2, cols / 2);
        let (a, panel) = (noise(rows * k, 3), noise(k * cols, 4));
        let product = |a: &dyn Fn(usize, usize) -> f32, i: usize, j: usize| -> f64 {
            (0..k).map(|k| a(i, k) as f64 * panel[k * cols + j] as f64).sum()
        };
        for (m, n) in [(1, 1), (rows, half_cols), (rows - 1, half_cols - 1)] {
            let mut out = vec![0.0; m * n];
            simd.gate_columns(&a, k, k, &panel, Tile::of(&mut out, m, n, n));
            let at = |i: usize, x: usize| a[i * k + x];
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let exact = silu(product(&at, i, j)) * product(&at, i, half_cols + j);
                assert!((exact - out[i * n + j] as f64).abs() < 1e-5, "{simd:?} {i} {j}");
            }
        }
        for (m, n) in [(1, 1), (half_rows, cols), (half_rows - 1, cols - 1)] {
            let mut out = vec![0.0; m * n];
            simd.gate_rows(&a, k, &panel, Tile::of(&mut out, m, n, n.max(1)));
            let at = |i: usize, x: usize| a[x * rows + i];
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let exact = silu(product(&at, i, j)) * product(&at, half_rows + i, j);
                assert!((exact - out[i * n + j] as f64).abs() < 1e-5, "{simd:?} {i} {j}");
            }
        }
    }
}

/// In units in the last place of the exact value.
fn ulps(got: f32, exact: f64) -> f64 {
    let near = exact as f32;
    (got as f64 - exact).abs() / (f32::from_bits(near.to_bits() + 1) - near) as f64
}

#[test]
fn powers_of_two_are_exact_to_two_units() {
    for simd in all() {
        let cols = simd.cols();
        let mut worst = 0.0f64;
        // Scores 0, for the largest, and one below it; in a block of one column each.
        for i in 0..200_000usize.div_ceil(cols) {
            let below: Vec<f32> = (0..cols).map(|j| (i * cols + j) as f32 * -6e-4).collect();
            let mut scores = [vec![0.0; cols], below.clone()].concat();
            let mut state = vec![0.0; 3 * cols];
            state[..cols].fill(f32::MIN);
            simd.softmax(&mut scores, &mut state);
            for (got, x) in scores[cols..].iter().zip(&below) {
                worst = worst.max(ulps(*got, (*x as f64).exp2()));
            }
        }
        assert!(worst > 0.0 && worst < 2.0, "{simd:?}: {worst}");
    }
}

#[test]
fn softmax_goes_on_from_block_to_block() {
    for simd in all() {
        let cols = simd.cols();
        let mut scores = noise(23 * cols, 5);
        scores.iter_mut().for_each(|s| *s *= 40.0);
        scores[0] = -1e30;
        scores[9 * cols + 1] = 1e4;
        let original = scores.clone();
        let mut state = vec![0.0; 3 * cols];
        state[..cols].fill(f32::MIN);
        let (mut first, mut second) = (scores[..9 * cols].to_vec(), scores[9 * cols..].to_vec());
        simd.softmax(&mut first, &mut state);
        simd.softmax(&mut second, &mut state);
        simd.scale_rows(&mut first, &state[2 * cols..]);
        for column in 0..cols {
            let all = |from: &[f32]| {
                from.iter()
                    .skip(column)
                    .step_by(cols)
                    .copied()
                    .collect::<Vec<_>>()
            };
            let (before, powers) = (all(&original), [all(&first), all(&second)].concat());
            let largest = before.iter().copied().fold(f32::MIN, f32::max) as f64;
            let exact: Vec<f64> = before.iter().map(|s| (*s as f64 - largest).exp2()).collect();
            let sum: f64 = exact.iter().sum();
            assert!((state[cols + column] as f64 / sum - 1.0).abs() < 1e-5, "{simd:?}");
            for (power, exact) in powers.iter().zip(exact) {
                assert!((*power as f64 - exact).abs() < 1e-5, "{simd:?}: {power} {exact}");
            }
        }
    }
}

#[test]
fn no_number_stays_none() {
    for simd in all() {
        let cols = simd.cols();
        let mut scores = vec![0.0; cols];
        scores[1] = f32::NAN;
        let mut state = vec![0.0; 3 * cols];
        simd.softmax(&mut scores, &mut state);
        assert!(
            scores[1].is_nan() && state[cols + 1].is_nan() && scores[0] == 1.0,
            "{simd:?}"
        );
        let panel: Vec<f32> = (0..cols).map(|j| if j < 2 { f32::NAN } else { 1e9 }).collect();
        let mut out = vec![0.0; cols / 2];
        simd.gate_columns(&[-1.0], 1, 1, &panel, Tile::of(&mut out, 1, cols / 2, cols / 2));
        assert!(out[0].is_nan() && out[2].abs() < 1e-6, "{simd:?}: {out:?}");
    }
}

#[test]
fn scratch_pieces_are_aligned_and_apart() {
    let mut scratch = Scratch::default();
    let [a, b, c] = scratch.pieces([3, 0, 17]);
    assert_eq!((a.len(), b.len(), c.len()), (3, 0, 17));
    assert!((a.as_ptr() as usize).is_multiple_of(64) && (c.as_ptr() as usize).is_multiple_of(64));
}

#[test]
#[should_panic = "beyond its memory"]
fn a_product_beyond_its_memory_is_refused() {
    let simd = all().next().unwrap();
    let mut out = [0.0; 4];
    simd.product_rows(
        &[1.0; 3],
        2,
        2,
        &vec![0.0; 2 * simd.cols()],
        Tile::of(&mut out, 2, 2, 2),
    );
}

/// Every task once, on every team; a task that panics is told to the caller, and the team works on.
#[test]
fn a_team_runs_every_task_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    for threads in [1, 2, 5] {
        let team = Team::new(threads).unwrap();
        for tasks in [0, 1, 2, 100, 3] {
            let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            let mut shift = team.shift();
            for _ in 0..50 {
                shift.run(tasks, &|task: usize, _: &mut Scratch| {
                    counts[task].fetch_add(1, Ordering::Relaxed);
                });
            }
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 50));
        }
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let fail = |task: usize, _: &mut Scratch| assert!(task != 7, "planted");
            team.shift().run(20, &fail);
        }));
        assert!(failed.is_err());
        team.shift().run(4, &|_: usize, _: &mut Scratch| {});
    }
}
