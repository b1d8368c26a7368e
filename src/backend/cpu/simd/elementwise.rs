//! Loops over elements, for the compiler to turn into vector instructions: sums run in fixed lanes.

use super::tile::{Sum, Tile};

/// Lanes of a sum: the widest vector.
const LANES: usize = 16;

/// `x += sum`, then divides by the root mean square.
#[inline(always)]
pub(super) fn add_norm(x: &mut [f32], sum: &Sum<'_>, start: usize, eps: f32) {
    for term in sum.terms() {
        let term = &term[start..start + x.len()];
        x.iter_mut().zip(term).for_each(|(x, t)| *x += t);
    }
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let tail: f32 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(l, v)| *l += v * v);
    }
    let scale = 1.0 / ((lanes.iter().sum::<f32>() + tail) / x.len() as f32 + eps).sqrt();
    x.iter_mut().for_each(|v| *v *= scale);
}

/// `x += residual` `[rows, width]`, then divides each column by its root mean square. `scale` is room for `width` elements.
#[inline(always)]
pub(super) fn add_norm_columns(x: &mut Tile<'_>, residual: &[f32], scale: &mut [f32], eps: f32) {
    let (rows, width) = (x.rows(), scale.len());
    scale.fill(0.0);
    for (i, residual) in residual.chunks_exact(width).enumerate().take(rows) {
        for ((x, r), s) in x.row(i).iter_mut().zip(residual).zip(scale.iter_mut()) {
            *x += r;
            *s += *x * *x;
        }
    }
    for s in scale.iter_mut() {
        *s = 1.0 / (*s / rows as f32 + eps).sqrt();
    }
    for i in 0..rows {
        x.row(i).iter_mut().zip(scale.iter()).for_each(|(x, s)| *x *= s);
    }
}

/// Writes a rectangle of a sum, added from left to right: its rows start at `start` and are `stride` apart.
#[inline(always)]
pub(super) fn write_sum(sum: &Sum<'_>, start: usize, stride: usize, out: &mut Tile<'_>) {
    let cols = out.cols();
    for i in 0..out.rows() {
        let range = start + i * stride..start + i * stride + cols;
        let row = out.row(i);
        match *sum.terms() {
            [a] => row.copy_from_slice(&a[range]),
            [a, b] => {
                let terms = a[range.clone()].iter().zip(&b[range]);
                row.iter_mut().zip(terms).for_each(|(o, (a, b))| *o = a + b);
            }
            [a, b, c, ref rest @ ..] => {
                let ab = a[range.clone()].iter().zip(&b[range.clone()]);
                let abc = ab.zip(&c[range.clone()]);
                row.iter_mut()
                    .zip(abc)
                    .for_each(|(o, ((a, b), c))| *o = a + b + c);
                for term in rest {
                    row.iter_mut()
                        .zip(&term[range.clone()])
                        .for_each(|(o, t)| *o += t);
                }
            }
            [] => row.fill(0.0),
        }
    }
}

/// Turns one head: the element i of its lower half with the element i of the upper one, by the angle i.
#[inline(always)]
pub(super) fn turn(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (low, high) = head.split_at_mut(head.len() / 2);
    for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}
