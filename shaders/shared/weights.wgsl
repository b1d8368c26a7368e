// Unpacks weights that are stored as f32, f16, bf16 or int8.
// Expects the override FORMAT.

// Returns the index of the storage vector that holds 4-vector i of the weights. A storage vector
// holds one 4-vector of f32, two of f16 or bf16, four of int8.
fn vector_of(i: u32) -> u32 {
    return i >> ((FORMAT + 1u) / 2u);
}

// Returns 4-vector i of the weights, given the storage vector that holds it.
fn unpack4(v: vec4<u32>, i: u32) -> vec4<f32> {
    if FORMAT == 0u {
        return bitcast<vec4<f32>>(v);
    }
    if FORMAT == 3u {
        return vec4<f32>(unpack4xI8(v[i % 4u]));
    }
    let two = select(v.xy, v.zw, i % 2u == 1u);
    if FORMAT == 1u {
        return vec4<f32>(unpack2x16float(two.x), unpack2x16float(two.y));
    }
    let high = 0xffff0000u;
    return bitcast<vec4<f32>>(vec4<u32>(two.x << 16u, two.x & high, two.y << 16u, two.y & high));
}

// Returns the factors of 4 sums of products: their scales for int8, stored behind the weights; else
// 1.
fn scales(v: vec4<u32>) -> vec4<f32> {
    if FORMAT == 3u {
        return bitcast<vec4<f32>>(v);
    }
    return vec4<f32>(1.0);
}
