// Functions of their arguments alone. Expects no globals.

// Returns how many 4-vectors a row of n elements takes: rows are padded with zeros to a multiple of
// 16.
fn padded_vec4s(n: u32) -> u32 {
    return (n + 15u) / 16u * 4u;
}

// Returns sum + x w, for 4 inputs x and the 4 rows of weights that they multiply.
fn multiply_add(sum: vec4<f32>, x: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return sum + x.x * w[0] + x.y * w[1] + x.z * w[2] + x.w * w[3];
}

// The answer token of a cell with a logit that is not finite.
const NO_TOKEN: u32 = 0xffffffffu;

// The bits of the exponent of an f32. All are set in infinities and NaN alone.
const EXPONENT: u32 = 0x7f800000u;

// Returns whether x is neither infinite nor NaN. Looks at its bits, because a driver may compute
// comparisons as if no such numbers existed.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & EXPONENT) != EXPONENT;
}

// Returns what to multiply by to divide by the root of mean + eps. NaN if the mean is not finite:
// divided by infinity, everything would become 0, and the overflow would be lost.
fn norm_factor(mean: vec4<f32>, eps: f32) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(mean);
    let overflows = (bits & vec4<u32>(EXPONENT)) == vec4<u32>(EXPONENT);
    let nan = bitcast<vec4<f32>>(bits | vec4<u32>(0x7fc00000u));
    return select(inverseSqrt(mean + vec4<f32>(eps)), nan, overflows);
}
