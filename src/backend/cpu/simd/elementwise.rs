//! Loops over elements, written so that the compiler turns them into vector instructions: sums run in eight fixed lanes.

const LANES: usize = 8;

/// e^x, relative error below 2e-7 on [-87, 88], clamped outside.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial, 2^n through the exponent's bits.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves the rounded integer in the low bits.
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    p * scale
}

/// `out = silu(gate) * up`.
pub(in super::super) fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((o, &g), &u) in out.iter_mut().zip(gate).zip(up) {
        *o = g / (1.0 + exp(-g)) * u;
    }
}

fn sum_of_squares(x: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let tail: f32 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(l, v)| *l += v * v);
    }
    lanes.iter().sum::<f32>() + tail
}

/// `x += residual`, then divides by the root mean square.
pub(in super::super) fn rms_norm(x: &mut [f32], residual: &[f32], eps: f32) {
    x.iter_mut().zip(residual).for_each(|(x, r)| *x += r);
    let scale = 1.0 / (sum_of_squares(x) / x.len() as f32 + eps).sqrt();
    x.iter_mut().for_each(|v| *v *= scale);
}

/// The same along the columns of x `[rows, columns]`.
pub(in super::super) fn rms_norm_columns(x: &mut [f32], residual: &[f32], columns: usize, eps: f32) {
    let mut scale = vec![0.0f32; columns];
    for (row, residual) in x.chunks_exact_mut(columns).zip(residual.chunks_exact(columns)) {
        for ((x, r), s) in row.iter_mut().zip(residual).zip(&mut scale) {
            *x += r;
            *s += *x * *x;
        }
    }
    let rows = (x.len() / columns) as f32;
    scale.iter_mut().for_each(|s| *s = 1.0 / (*s / rows + eps).sqrt());
    for row in x.chunks_exact_mut(columns) {
        row.iter_mut().zip(&scale).for_each(|(x, s)| *x *= s);
    }
}

/// Softmax of a row of scores, in place.
pub(in super::super) fn softmax(scores: &mut [f32]) {
    let mut lanes = [f32::MIN; LANES];
    for chunk in scores.chunks(LANES) {
        lanes.iter_mut().zip(chunk).for_each(|(l, v)| *l = l.max(*v));
    }
    let max = lanes.iter().copied().fold(f32::MIN, f32::max);
    scores.iter_mut().for_each(|s| *s = exp(*s - max));
    let mut sums = [0.0f32; LANES];
    for chunk in scores.chunks(LANES) {
        sums.iter_mut().zip(chunk).for_each(|(l, v)| *l += v);
    }
    let scale = 1.0 / sums.iter().sum::<f32>();
    scores.iter_mut().for_each(|s| *s *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate() {
        let mut worst = 0.0f64;
        for i in -870_000..=880_000 {
            let x = i as f32 / 10_000.0;
            let exact = (x as f64).exp();
            worst = worst.max(((exp(x) as f64 - exact) / exact).abs());
        }
        assert!(worst < 2e-7, "relative error {worst}");
    }

    #[test]
    fn softmax_of_far_apart_scores() {
        let mut scores = [-1e9f32, 0.0, 0.0, -200.0, 0.0, 0.0, -1e30, -5e4, -3.0, -4.0];
        softmax(&mut scores);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((scores[1] / scores[8] - 3f32.exp()).abs() < 1e-4);
        assert!(scores[0] < 1e-30 && scores[3] < 1e-30);
    }
}
