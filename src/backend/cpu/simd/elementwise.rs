//! Elementwise loops that the compiler vectorises. Sums use a fixed number of lanes, so that their
//! order does not depend on the instruction set.

use super::lanes::PackedWord;
use super::tile::{BufferSum, Tile};

/// Lanes of a sum, as many as the widest vector has.
const LANES: usize = 16;

/// Computes `x += sum`, then divides x by its root mean square. If the sum of squares overflows,
/// all of x becomes NaN.
#[inline(always)]
pub(super) fn add_norm(x: &mut [f32], sum: &BufferSum<'_>, start: usize, eps: f32) {
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
    let scale = norm_scale((lanes.iter().sum::<f32>() + tail) / x.len() as f32, eps);
    x.iter_mut().for_each(|v| *v *= scale);
}

/// Returns what to multiply by to divide by a root mean square. NaN if the mean is not finite: by
/// infinity, everything would become 0, and the overflow would be lost.
#[inline(always)]
#[allow(clippy::eq_op, reason = "NaN minus NaN is NaN")]
fn norm_scale(mean: f32, eps: f32) -> f32 {
    // `mean - mean` is 0, or NaN for infinity and NaN. Unlike a comparison it vectorises well.
    1.0 / (mean + eps).sqrt() + (mean - mean)
}

/// Computes `x += residual` for `[rows, width]`, then divides each column by its root mean square.
/// `scale` is scratch memory for `width` elements.
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
        *s = norm_scale(*s / rows as f32, eps);
    }
    for i in 0..rows {
        x.row(i)
            .iter_mut()
            .zip(scale.iter())
            .for_each(|(x, s)| *x *= s);
    }
}

/// Writes a rectangle of a sum, added from left to right. Its rows start at `start` and are
/// `stride` apart.
#[inline(always)]
pub(super) fn write_sum(sum: &BufferSum<'_>, start: usize, stride: usize, out: &mut Tile<'_>) {
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

/// Rotates one head (RoPE): element i of its lower half with element i of its upper half, by angle
/// i.
#[inline(always)]
pub(super) fn rotate_head(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (low, high) = head.split_at_mut(head.len() / 2);
    for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}

/// Rounds a number from -127 to 127 to a byte with a zero point of 0 or 0x80.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the last bits hold the number"
)]
pub(super) fn byte(x: f32, zero_point: u8) -> u8 {
    // 1.5 * 2^23: adding it leaves the rounded number in the last bits.
    (x + 12_582_912.0).to_bits() as u8 ^ zero_point
}

/// Returns the bits of the nearest bf16, ties to even. NaN stays NaN.
#[inline(always)]
fn bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { 0x7fc0 } else { nearest }
}

/// Rounds a row to words of two bf16, the first value in the lower half. Words beyond the row are
/// zero.
#[inline(always)]
pub(super) fn bf16_row(x: &[f32], words: &mut [PackedWord]) {
    let (twos, rest) = x.as_chunks::<2>();
    for (word, [a, b]) in words.iter_mut().zip(twos) {
        *word = f32::from_bits(bf16(*a) | bf16(*b) << 16);
    }
    let beyond = &mut words[twos.len()..];
    beyond.fill(0.0);
    for (word, last) in beyond.iter_mut().zip(rest) {
        *word = f32::from_bits(bf16(*last));
    }
}

/// Rounds x `[rows, width]` to words `[rows / 2, width]` of two rows each. A missing last row is
/// zero.
#[inline(always)]
pub(super) fn bf16_columns(x: &[f32], width: usize, words: &mut [PackedWord]) {
    let zeros = [0.0f32; 64];
    let zeros = &zeros[..width];
    for (two, words) in x.chunks(2 * width).zip(words.chunks_exact_mut(width)) {
        let (a, b) = two.split_at(width);
        let b = if b.is_empty() { zeros } else { b };
        for ((word, a), b) in words.iter_mut().zip(a).zip(b) {
            *word = f32::from_bits(bf16(*a) | bf16(*b) << 16);
        }
    }
}

/// Rounds a number to the bits of an `i16`.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the last bits hold the number"
)]
fn round_to_i16(x: f32) -> u16 {
    // The same trick as in `byte`.
    (x + 12_582_912.0).to_bits() as u16
}

/// Rounds `x * factor` to the bits of `i16`, up to the end of the shorter slice.
#[inline(always)]
pub(super) fn scale_to_i16(x: &[f32], factor: f32, out: &mut [u16]) {
    out.iter_mut()
        .zip(x)
        .for_each(|(o, x)| *o = round_to_i16(x * factor));
}

/// Quantises a row to int16, so that its largest value becomes `max`, and returns its scale. Values
/// beyond the row are zero.
#[inline(always)]
pub(super) fn int16_quantize_row(x: &[f32], out: &mut [u16], max: f32) -> f32 {
    let (factor, scale) = scales_of(x, max);
    scale_to_i16(x, factor, out);
    out[x.len()..].fill(0);
    scale
}

/// Quantises the columns of x `[rows, width]` to int16 words `[rows / 2, width]` of two rows each.
/// The largest value of a column becomes `max`. `scale` receives the scale of each column.
#[inline(always)]
pub(super) fn int16_quantize_columns(x: &[f32], words: &mut [u32], scale: &mut [f32], max: f32) {
    let width = scale.len();
    let (mut factors, zeros) = ([0.0f32; 64], [0.0f32; 64]);
    let (factors, zeros) = (&mut factors[..width], &zeros[..width]);
    column_scales(x, max, factors, scale);
    for (two, words) in x.chunks(2 * width).zip(words.chunks_exact_mut(width)) {
        let row = |i: usize| two.get(i * width..(i + 1) * width).unwrap_or(zeros);
        let (a, b) = (row(0), row(1));
        for i in 0..width {
            let [a, b] = [a[i], b[i]].map(|x| u32::from(round_to_i16(x * factors[i])));
            // The first value has the lower address.
            words[i] = if cfg!(target_endian = "little") {
                a | b << 16
            } else {
                b | a << 16
            };
        }
    }
}

/// Computes [`scales`] for each column of x `[rows, width]`.
#[inline(always)]
fn column_scales(x: &[f32], max: f32, factors: &mut [f32], scale: &mut [f32]) {
    let mut largest = [0u32; 64];
    let largest = &mut largest[..scale.len()];
    for row in x.chunks_exact(scale.len()) {
        for (largest, x) in largest.iter_mut().zip(row) {
            *largest = (*largest).max(x.abs().to_bits());
        }
    }
    for ((largest, factor), scale) in largest.iter().zip(factors).zip(scale) {
        (*factor, *scale) = scales(*largest, max);
    }
}

/// Returns the factor that maps the largest value to `max`, and the scale that undoes it. `largest`
/// is the maximum of the values' bits without the sign. The bits of NaN are larger than those of
/// any number, so NaN makes both NaN.
#[inline(always)]
fn scales(largest: u32, max: f32) -> (f32, f32) {
    let largest = f32::from_bits(largest);
    if largest == 0.0 {
        return (0.0, 0.0);
    }
    (max / largest, largest / max)
}

/// Computes [`scales`] for a row.
#[inline(always)]
pub(super) fn scales_of(x: &[f32], max: f32) -> (f32, f32) {
    let mut lanes = [0u32; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = (*lane).max(x.abs().to_bits());
        }
    }
    let all = lanes
        .into_iter()
        .chain(rest.iter().map(|x| x.abs().to_bits()));
    scales(all.fold(0, u32::max), max)
}

/// Quantises the columns of x `[rows, width]` to int8 words `[rows / 4, width]` of four rows each.
/// Missing rows are the zero point. `scale` receives the scale of each column.
#[inline(always)]
pub(super) fn quantize_columns(x: &[f32], words: &mut [u32], scale: &mut [f32], zero_point: u8) {
    let width = scale.len();
    let (mut factors, zeros) = ([0.0f32; 64], [0.0f32; 64]);
    let (factors, zeros) = (&mut factors[..width], &zeros[..width]);
    column_scales(x, 127.0, factors, scale);
    for (four, words) in x.chunks(4 * width).zip(words.chunks_exact_mut(width)) {
        let row = |i: usize| four.get(i * width..(i + 1) * width).unwrap_or(zeros);
        let (a, b, c, d) = (row(0), row(1), row(2), row(3));
        for i in 0..width {
            let bytes = [a[i], b[i], c[i], d[i]].map(|x| byte(x * factors[i], zero_point));
            words[i] = u32::from_ne_bytes(bytes);
        }
    }
}
