//! The kernels of every instruction set, one by one, against f64.

use super::*;
use crate::backend::cpu::InstructionSet;
use crate::backend::cpu::pool::ThreadPool;
use crate::backend::cpu::scratch::Scratch;

fn all() -> impl Iterator<Item = Simd> {
    InstructionSet::ALL.into_iter().filter_map(|i| {
        let simd = Simd::of(i);
        if simd.is_none() {
            eprintln!("skipped: this machine has no {}", i.name());
        }
        simd
    })
}

/// Runs a check with every instruction set, even after one has failed.
fn test_each(all: impl Iterator<Item = Simd>, check: impl Fn(Simd)) {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let fails = |simd: &Simd| catch_unwind(AssertUnwindSafe(|| check(*simd))).is_err();
    let failed: Vec<Simd> = all.filter(fails).collect();
    assert!(failed.is_empty(), "failed, see above: {failed:?}");
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

/// Returns the largest difference of `got(i, j)` from `before + sum of a(i, k) b(k, j)` for `[m, n,
/// k]`.
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

/// Products of every height and some widths and depths are right, write nothing beside the tile,
/// and a wrong element is seen.
#[test]
fn products_of_every_tile_are_right() {
    test_each(all(), |simd| {
        let (cols, mut failed) = (simd.cols(), Vec::new());
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
                if worst >= 1e-5 {
                    failed.push(format!("{m} x {n}, depth {k}, by rows {rows}: {worst}"));
                }
                let inside = |x: usize| x / (cols + 2) < m && x % (cols + 2) < n;
                if !out.iter().enumerate().all(|(x, v)| inside(x) || *v == 7.0) {
                    failed.push(format!(
                        "{m} x {n}, depth {k}, by rows {rows}: written beside the tile"
                    ));
                }
                // The planted bug: the last element a little off.
                if m * n > 0 {
                    out[(m - 1) * (cols + 2) + n - 1] += 1e-3;
                    assert!(difference([m, n, k], at, b, before, |i, j| got(&out, i, j)) > 1e-5);
                }
            }
        }
        assert!(failed.is_empty(), "{simd:?}:\n{}", failed.join("\n"));
    });
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

#[test]
fn gates_are_right_by_columns_and_by_rows() {
    test_each(all(), |simd| {
        let (rows, cols, k) = (simd.rows(), simd.cols(), 19);
        let (half_rows, half_cols) = (rows / 2, cols / 2);
        let (a, panel) = (noise(rows * k, 3), noise(k * cols, 4));
        let product = |a: &dyn Fn(usize, usize) -> f32, i: usize, j: usize| -> f64 {
            (0..k)
                .map(|k| a(i, k) as f64 * panel[k * cols + j] as f64)
                .sum()
        };
        for (m, n) in [(1, 1), (rows, half_cols), (rows - 1, half_cols - 1)] {
            let mut out = vec![0.0; m * n];
            simd.gate_columns(&a, k, k, &panel, Tile::of(&mut out, m, n, n));
            let at = |i: usize, x: usize| a[i * k + x];
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let exact = silu(product(&at, i, j)) * product(&at, i, half_cols + j);
                assert!(
                    (exact - out[i * n + j] as f64).abs() < 1e-5,
                    "{simd:?} {i} {j}"
                );
            }
        }
        for (m, n) in [(1, 1), (half_rows, cols), (half_rows - 1, cols - 1)] {
            let mut out = vec![0.0; m * n];
            simd.gate_rows(&a, k, &panel, Tile::of(&mut out, m, n, n.max(1)));
            let at = |i: usize, x: usize| a[x * rows + i];
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let exact = silu(product(&at, i, j)) * product(&at, half_rows + i, j);
                assert!(
                    (exact - out[i * n + j] as f64).abs() < 1e-5,
                    "{simd:?} {i} {j}"
                );
            }
        }
    });
}

/// Returns the error in units in the last place of the exact value.
fn ulps(got: f32, exact: f64) -> f64 {
    let near = exact as f32;
    (got as f64 - exact).abs() / (f32::from_bits(near.to_bits() + 1) - near) as f64
}

#[test]
fn powers_of_two_are_exact_to_two_units() {
    test_each(all(), |simd| {
        let cols = simd.cols();
        let mut worst = 0.0f64;
        // Score 0, the largest, and one below it, in a block of one column each.
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
    });
}

#[test]
fn softmax_continues_from_block_to_block() {
    test_each(all(), |simd| {
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
            let exact: Vec<f64> = before
                .iter()
                .map(|s| (*s as f64 - largest).exp2())
                .collect();
            let sum: f64 = exact.iter().sum();
            assert!(
                (state[cols + column] as f64 / sum - 1.0).abs() < 1e-5,
                "{simd:?}"
            );
            for (power, exact) in powers.iter().zip(exact) {
                assert!(
                    (*power as f64 - exact).abs() < 1e-5,
                    "{simd:?}: {power} {exact}"
                );
            }
        }
    });
}

#[test]
fn nan_stays_nan() {
    test_each(all(), |simd| {
        let cols = simd.cols();
        let mut scores = vec![0.0; cols];
        scores[1] = f32::NAN;
        let mut state = vec![0.0; 3 * cols];
        simd.softmax(&mut scores, &mut state);
        assert!(
            scores[1].is_nan() && state[cols + 1].is_nan() && scores[0] == 1.0,
            "{simd:?}"
        );
        let panel: Vec<f32> = (0..cols)
            .map(|j| if j < 2 { f32::NAN } else { 1e9 })
            .collect();
        let mut out = vec![0.0; cols / 2];
        simd.gate_columns(
            &[-1.0],
            1,
            1,
            &panel,
            Tile::of(&mut out, 1, cols / 2, cols / 2),
        );
        assert!(out[0].is_nan() && out[2].abs() < 1e-6, "{simd:?}: {out:?}");
    });
}

#[test]
fn parts_of_scratch_are_aligned_and_do_not_overlap() {
    let mut scratch = Scratch::default();
    let [a, b, c] = scratch.split([3, 0, 17]);
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

/// Thread pools of every size run every task once. A panic of a task reaches the caller, and the
/// pool stays usable.
#[test]
fn a_thread_pool_runs_every_task_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    for threads in [1, 2, 5] {
        let pool = ThreadPool::new(threads).unwrap();
        for tasks in [0, 1, 2, 100, 3] {
            let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            pool.scope(|scope| {
                for _ in 0..50 {
                    scope.run(tasks, &|task: usize, _: &mut Scratch| {
                        counts[task].fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 50));
        }
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let fail = |task: usize, _: &mut Scratch| assert!(task != 7, "planted");
            pool.scope(|scope| scope.run(20, &fail));
        }));
        assert!(failed.is_err());
        pool.scope(|scope| scope.run(4, &|_: usize, _: &mut Scratch| {}));
    }
}

/// Returns an instruction set with each int8 implementation that this machine has.
fn int8_of(i: InstructionSet) -> Vec<Simd> {
    let mut all = Vec::new();
    for (int8, here) in int8_table::tables(i) {
        match Simd::of(i).filter(|_| here) {
            Some(mut simd) => {
                simd.int8 = int8;
                all.push(simd);
            }
            None => eprintln!("skipped: this machine has no {} {}", i.name(), int8.name()),
        }
    }
    all
}

fn all_int8() -> impl Iterator<Item = Simd> {
    InstructionSet::ALL.into_iter().flat_map(int8_of)
}

/// Returns the bytes of words.
fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_ne_bytes()).collect()
}

#[test]
fn rows_and_columns_are_quantised_alike() {
    test_each(all_int8(), |simd| {
        let cols = simd.cols();
        for rows in [0, 1, 3, 4, 5, 33] {
            let mut x = noise(rows * cols, 6);
            x.iter_mut().skip(1).step_by(cols).for_each(|x| *x = 0.0);
            x.iter_mut().skip(2).step_by(cols).for_each(|x| *x *= 1e-3);
            if rows == 5 {
                x[3] = f32::NAN;
            }
            let (mut words, mut scale) = (vec![0; rows.div_ceil(4) * cols], vec![0.0; cols]);
            simd.quantize_columns(&x, &mut words, &mut scale);
            for (column, scale) in scale.iter().enumerate() {
                let values: Vec<f32> = x.iter().skip(column).step_by(cols).copied().collect();
                let mut row = vec![0.0; Simd::int8_stride(rows)];
                simd.quantize_row(&values, &mut row);
                let of_row: Vec<u32> = row[..rows.div_ceil(4)]
                    .iter()
                    .map(|x| x.to_bits())
                    .collect();
                let of_column: Vec<u32> =
                    words.iter().skip(column).step_by(cols).copied().collect();
                assert_eq!(
                    scale.to_bits(),
                    row[row.len() - 1].to_bits(),
                    "{simd:?} {rows} {column}"
                );
                if rows == 5 && column == 3 {
                    assert!(scale.is_nan());
                    continue;
                }
                assert_eq!(of_row, of_column, "{simd:?} {rows} {column}");
                for (i, byte) in bytes(&of_row).into_iter().enumerate() {
                    let back = f32::from(byte.wrapping_sub(simd.int8_zero_point()) as i8) * scale;
                    let exact = values.get(i).copied().unwrap_or(0.0);
                    assert!(
                        (back - exact).abs() <= 0.5001 * scale,
                        "{simd:?}: {back} {exact}"
                    );
                }
            }
        }
    });
}

/// All int8 products of one depth are exact except for their scaling. A wrong byte is seen.
#[test]
fn products_of_int8_are_right() {
    test_each(all_int8(), |simd| {
        let (rows, cols) = (simd.rows(), simd.cols());
        for k in [1, 4, 7, 64, 97] {
            let depth = usize::div_ceil(k, 4);
            // No byte is -128, as in int8 weights.
            let random = |len: usize, seed| -> Vec<u32> {
                let weight = |b: u8| b.max(1).wrapping_add(0x80);
                let words = noise(len, seed).into_iter().map(|x| x.to_bits() << 9);
                words
                    .map(|w| u32::from_ne_bytes(w.to_ne_bytes().map(weight)))
                    .collect()
            };
            // Large bytes of one sign would overflow 16 bits.
            let word = |i: usize| {
                if i.is_multiple_of(3) {
                    0xffff_ffff
                } else {
                    0x7f7f_7f81
                }
            };
            let strip: Vec<u32> = (0..depth * rows).map(word).collect();
            let panel = [
                random(depth * cols - cols / 2, 8),
                vec![0x7f7f_7f7f; cols / 2],
            ]
            .concat();
            let scales: Vec<f32> = noise(cols.max(rows), 9).iter().map(|x| x * 1e-4).collect();
            let bias: Vec<u32> = (0..cols.max(rows))
                .map(|i| (i as u32).wrapping_sub(9).wrapping_mul(1000))
                .collect();
            let group = |words| Int8Panel {
                words,
                bias: &bias,
                scale: &scales,
            };
            let col_scale = noise(cols, 10);
            // Rows of activations: words, then the scale.
            let stride = Simd::int8_stride(k);
            let mut a = noise(stride * rows, 11);
            a.iter_mut()
                .skip(stride - 1)
                .step_by(stride)
                .for_each(|s| *s = s.abs() + 0.1);
            let dot = |activations: u32, weights: u32| -> i64 {
                let (a, w) = (activations.to_ne_bytes(), weights.to_ne_bytes());
                let activation = |byte: u8| match simd.int8_zero_point() {
                    0 => i64::from(byte as i8),
                    _ => i64::from(byte),
                };
                (0..4)
                    .map(|i| activation(a[i]) * i64::from(w[i] as i8))
                    .sum()
            };
            let by_rows = |i: usize, j: usize| {
                let sum: i64 = (0..depth)
                    .map(|x| dot(a[i * stride + x].to_bits(), panel[x * cols + j]))
                    .sum();
                (sum + i64::from(bias[j] as i32)) as f64
                    * a[i * stride + stride - 1] as f64
                    * scales[j] as f64
            };
            let by_columns = |i: usize, j: usize| {
                let sum: i64 = (0..depth)
                    .map(|x| dot(panel[x * cols + j], strip[x * rows + i]))
                    .sum();
                (sum + i64::from(bias[i] as i32)) as f64 * scales[i] as f64 * col_scale[j] as f64
            };
            let mut out = vec![0.0; rows * cols];
            let check = |what: &str,
                         out: &mut [f32],
                         height: usize,
                         width: usize,
                         exact: &dyn Fn(usize, usize) -> f64| {
                let near = |out: &[f32]| {
                    (0..height)
                        .flat_map(|i| (0..width).map(move |j| (i, j)))
                        .all(|(i, j)| {
                            let exact = exact(i, j);
                            (out[i * width + j] as f64 - exact).abs() <= 4e-6 * exact.abs() + 1e-9
                        })
                };
                assert!(near(out), "{simd:?} {what} {k}");
                out[height * width - 1] += out[height * width - 1].abs() * 1e-3 + 1e-3;
                assert!(!near(out), "{simd:?} {what}: a planted bug went unseen");
            };
            for m in 1..=rows {
                simd.int8_product_rows(&a, k, group(&panel), Tile::of(&mut out, m, cols, cols));
                check("rows", &mut out, m, cols, &by_rows);
                simd.int8_product_columns(
                    group(&strip),
                    k,
                    (&panel, &col_scale),
                    Tile::of(&mut out, m, cols, cols),
                );
                check("columns", &mut out, m, cols, &by_columns);
                let half = cols / 2;
                simd.int8_gate_columns(&a, k, group(&panel), Tile::of(&mut out, m, half, half));
                check("gate columns", &mut out, m, half, &|i, j| {
                    silu(by_rows(i, j)) * by_rows(i, half + j)
                });
            }
            for m in 1..=rows / 2 {
                simd.int8_gate_rows(
                    group(&strip),
                    k,
                    (&panel, &col_scale),
                    Tile::of(&mut out, m, cols, cols),
                );
                let exact =
                    |i: usize, j: usize| silu(by_columns(i, j)) * by_columns(rows / 2 + i, j);
                check("gate rows", &mut out, m, cols, &exact);
            }
        }
    });
}

/// Returns the numbers of a row of 16-bit pairs.
fn shorts(words: &[f32], k: usize) -> Vec<i64> {
    let both = words
        .iter()
        .flat_map(|w| [w.to_bits() as i16, (w.to_bits() >> 16) as i16]);
    both.take(k).map(i64::from).collect()
}

/// Products of 16-bit pairs are exact except for their scaling, also with the largest possible
/// sums. A wrong number is seen.
#[test]
fn products_of_16_bit_pairs_are_right() {
    test_each(all_int8(), |simd| {
        let (rows, cols) = (simd.rows(), simd.cols());
        for k in [1, 2, 7, 64, 97, 916] {
            let stride = Simd::int16_stride(k);
            let (mut a, mut b) = (vec![0.0; rows * stride], vec![0.0; cols * stride]);
            let mut panel = vec![0.0; simd.int16_panel_len(k)];
            for (i, row) in a.chunks_exact_mut(stride).enumerate() {
                // The first row has the largest values everywhere.
                let x = if i == 0 {
                    vec![-3.0; k]
                } else {
                    noise(k, i as u32)
                };
                simd.int16_quantize_row(&x, row);
                for (n, x) in shorts(row, k).into_iter().zip(x) {
                    assert!(
                        (n as f32 * row[stride - 1] - x).abs() <= 0.501 * row[stride - 1],
                        "{simd:?}"
                    );
                }
            }
            for (i, row) in b.chunks_exact_mut(stride).enumerate() {
                let x = if i == 0 {
                    vec![3.0; k]
                } else {
                    noise(k, 100 + i as u32)
                };
                simd.int16_quantize_row(&x, row);
                simd.int16_pack_row(row, k, i, &mut panel);
            }
            for m in 1..=rows {
                let mut out = vec![0.0; m * cols];
                simd.int16_product_rows(
                    &a,
                    k,
                    simd.int16_panel(k, &panel),
                    Tile::of(&mut out, m, cols, cols),
                );
                let near = |out: &[f32]| {
                    out.iter().enumerate().all(|(at, got)| {
                        let (a, b) = (
                            &a[at / cols * stride..][..stride],
                            &b[at % cols * stride..][..stride],
                        );
                        let sum: i64 = shorts(a, k)
                            .iter()
                            .zip(shorts(b, k))
                            .map(|(a, b)| a * b)
                            .sum();
                        let exact = sum as f64 * a[stride - 1] as f64 * b[stride - 1] as f64;
                        (*got as f64 - exact).abs() <= 4e-7 * exact.abs() + 1e-12
                    })
                };
                assert!(near(&out), "{simd:?} {k} {m}");
                let last = &mut out[m * cols - 1];
                *last += last.abs() * 1e-5 + a[stride - 1] * b[stride - 1];
                assert!(!near(&out), "{simd:?}: a planted bug went unseen");
            }
        }
    });
}

/// Columns are rounded like rows. The softmax of a row adds up to one, and its products with these
/// numbers fit 32 bits.
#[test]
fn columns_and_softmax_are_rounded_to_16_bits() {
    test_each(all_int8(), |simd| {
        let cols = simd.cols();
        for k in [1, 2, 5, 64, 97, 916] {
            let x = noise(k * cols, 3);
            let mut panel = vec![0.0; simd.int16_panel_len(k)];
            simd.int16_pack_columns(&x, k, &mut panel);
            for column in 0..cols {
                let each = panel.iter().skip(column).step_by(cols).copied();
                let packed: Vec<f32> = each.collect();
                let (words, scale) = packed.split_at(k.div_ceil(2));
                for (n, x) in shorts(words, k)
                    .iter()
                    .zip(x.iter().skip(column).step_by(cols))
                {
                    assert!(
                        (*n as f32 * scale[0] - x).abs() <= 0.501 * scale[0],
                        "{simd:?}"
                    );
                }
            }
            for strength in [0.0, 1.0, 30.0] {
                let mut scores = vec![f32::NAN; k.next_multiple_of(cols)];
                for (score, x) in scores.iter_mut().zip(noise(k, 4)) {
                    *score = x * strength;
                }
                let powers: Vec<f64> = scores[..k].iter().map(|s| (*s as f64).exp2()).collect();
                let all: f64 = powers.iter().sum();
                let mut row = vec![0.0; Simd::int16_stride(k)];
                simd.int16_softmax(&mut scores, k, &mut row);
                let numbers = shorts(&row, k);
                assert!(
                    numbers.iter().sum::<i64>() * 4095 <= i64::from(i32::MAX),
                    "{simd:?} {k}"
                );
                for (n, power) in numbers.iter().zip(powers) {
                    let share = *n as f64 * row[row.len() - 1] as f64;
                    assert!(
                        (share - power / all).abs() < 2e-5,
                        "{simd:?} {k}: {share} {}",
                        power / all
                    );
                }
            }
        }
    });
}

/// All int8 implementations of an instruction set give the same bits. A wrong bias is seen.
#[test]
fn int8_has_the_same_bits_however_bytes_are_multiplied() {
    for i in InstructionSet::ALL {
        for k in [3, 64, 131] {
            let product = |simd: Simd, wrong: i64| {
                let (rows, cols, depth) = (simd.rows(), simd.cols(), usize::div_ceil(k, 4));
                let panel: Vec<u32> = noise(depth * cols, 12)
                    .iter()
                    .map(|x| (x.to_bits() << 9) & 0x7f7f_7f7f)
                    .collect();
                let sum = |column: usize| -> i64 {
                    let words: Vec<u32> =
                        panel.iter().skip(column).step_by(cols).copied().collect();
                    bytes(&words).into_iter().map(|b| i64::from(b as i8)).sum()
                };
                let bias =
                    |column| (wrong - i64::from(simd.int8_zero_point()) * sum(column)) as u32;
                let (bias, scale): (Vec<u32>, _) = ((0..cols).map(bias).collect(), noise(cols, 13));
                let (x, stride) = (noise(rows * k, 14), Simd::int8_stride(k));
                let mut a = vec![0.0; rows * stride];
                for (x, a) in x.chunks_exact(k).zip(a.chunks_exact_mut(stride)) {
                    simd.quantize_row(x, a);
                }
                let panel = Int8Panel {
                    words: &panel,
                    bias: &bias,
                    scale: &scale,
                };
                let mut out = vec![0.0; rows * cols];
                simd.int8_product_rows(&a, k, panel, Tile::of(&mut out, rows, cols, cols));
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let all = int8_of(i);
            for pair in all.windows(2) {
                assert_eq!(
                    product(pair[0], 0),
                    product(pair[1], 0),
                    "{}, {k}",
                    i.name()
                );
            }
            for simd in all {
                assert_ne!(
                    product(simd, 1),
                    product(simd, 0),
                    "a planted bug went unseen"
                );
            }
        }
    }
}

/// Rows and columns are rounded to bf16 like the `half` crate does. Padding is zero.
#[test]
fn rows_and_columns_are_rounded_to_bf16() {
    test_each(all(), |simd| {
        let cols = simd.cols();
        for k in [1, 2, 5, 64, 97] {
            let mut x = noise(k * cols, 21);
            let special = [
                f32::NAN,
                f32::INFINITY,
                -0.0,
                1e-40,
                f32::MAX,
                1.003_906_2,
                1.011_718_7,
            ];
            x.iter_mut()
                .zip(special)
                .for_each(|(x, special)| *x = special);
            let mut words = vec![1.0; k.div_ceil(2) * cols];
            simd.bf16_columns(&x, &mut words);
            for column in 0..cols {
                let values: Vec<f32> = x.iter().skip(column).step_by(cols).copied().collect();
                let mut row = vec![1.0; Simd::bf16_stride(k)];
                simd.bf16_row(&values, &mut row);
                let bits = |word: &f32| [word.to_bits() as u16, (word.to_bits() >> 16) as u16];
                let of_row: Vec<u16> = row.iter().flat_map(bits).collect();
                let of_column: Vec<u16> = words
                    .iter()
                    .skip(column)
                    .step_by(cols)
                    .flat_map(bits)
                    .collect();
                for (i, got) in of_row.iter().enumerate() {
                    let exact = half::bf16::from_f32(values.get(i).copied().unwrap_or(0.0));
                    let got = half::bf16::from_bits(*got);
                    assert!(
                        got.to_bits() == exact.to_bits() || got.is_nan() && exact.is_nan(),
                        "{simd:?} {k} {i}: {got} {exact}"
                    );
                }
                assert_eq!(
                    of_row[..of_column.len()],
                    of_column,
                    "{simd:?} {k} {column}"
                );
            }
        }
    });
}
