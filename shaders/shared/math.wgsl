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
