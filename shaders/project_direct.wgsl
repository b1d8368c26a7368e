// project_direct: project_add_norm without workgroup memory and without the norm.
//
// sums = weight input + sum of the residuals; norm_direct normalises them. An invocation computes 8
// rows by 4 columns, and for each row its part of the sum of squares. The invocations of a
// workgroup have the same rows. Grid: D / 4 / WG, L / 8, live slots.
// Uses shared/math.wgsl, shared/weights.wgsl, shared/residuals.wgsl, shared/source4.wgsl.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // columns: the hidden size
override K: u32 = 1536u;       // width of the input
override SOURCES: u32 = 1u;    // residuals, 1 to 4
override FORMAT: u32 = 0u;     // weight dtype: 0 f32, 1 f16, 2 bf16, 3 int8
override WG: u32 = 64u;        // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;          // [live slots]
@group(0) @binding(1) var<storage, read> weight: array<vec4<u32>>;  // [K, D]
@group(0) @binding(2) var<storage, read> source: array<vec4<f32>>;  // the input, [B, L, K]
@group(0) @binding(3) var<storage, read> residual0: array<f32>;     // [B, L, D]
@group(0) @binding(4) var<storage, read> residual1: array<f32>;     // [B, L, D], if SOURCES > 1
@group(0) @binding(5) var<storage, read> residual2: array<f32>;     // [B, L, D], if SOURCES > 2
@group(0) @binding(6) var<storage, read> residual3: array<f32>;     // [B, L, D], if SOURCES > 3
// A slot has the sums [L, padded D], then the squares [L, padded D / 4].
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

fn weight4(i: u32) -> vec4<f32> {
    return unpack4(weight[vector_of(i)], i);
}

// Stores 4 columns of a row. Columns beyond the last are zeros.
fn store(to: u32, row: u32, projected: vec4<f32>) {
    if row >= L {
        return;
    }
    sums[to] = projected.x;
    sums[to + 1u] = projected.y;
    sums[to + 2u] = projected.z;
    sums[to + 3u] = projected.w;
}

// Adds the residuals to a stored element and returns the square of the result.
fn add_residuals(to: u32, i: u32, column: u32) -> f32 {
    if column >= D {
        return 0.0;
    }
    let v = sums[to] + sum_residuals(i);
    sums[to] = v;
    return v * v;
}

@compute @workgroup_size(WG)
fn project_direct(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let stride = padded_vec4s(D);
    let columns = group.x * WG + id;
    if columns >= stride {
        return;
    }
    let slot = live[group.z];
    let row = group.y * 8u;
    var p0 = vec4<f32>();
    var p1 = vec4<f32>();
    var p2 = vec4<f32>();
    var p3 = vec4<f32>();
    var p4 = vec4<f32>();
    var p5 = vec4<f32>();
    var p6 = vec4<f32>();
    var p7 = vec4<f32>();
    for (var k = 0u; k < K; k += 4u) {
        let x0 = source4(slot, row, k, K);
        let x1 = source4(slot, row + 1u, k, K);
        let x2 = source4(slot, row + 2u, k, K);
        let x3 = source4(slot, row + 3u, k, K);
        let x4 = source4(slot, row + 4u, k, K);
        let x5 = source4(slot, row + 5u, k, K);
        let x6 = source4(slot, row + 6u, k, K);
        let x7 = source4(slot, row + 7u, k, K);
        let at = k * stride + columns;
        let w = mat4x4<f32>(
            weight4(at), weight4(at + stride), weight4(at + 2u * stride), weight4(at + 3u * stride),
        );
        p0 = multiply_add(p0, x0, w);
        p1 = multiply_add(p1, x1, w);
        p2 = multiply_add(p2, x2, w);
        p3 = multiply_add(p3, x3, w);
        p4 = multiply_add(p4, x4, w);
        p5 = multiply_add(p5, x5, w);
        p6 = multiply_add(p6, x6, w);
        p7 = multiply_add(p7, x7, w);
    }
    let s = scales(weight[(K + 3u) / 4u * stride + columns]);
    let width = stride * 4u;
    let column = columns * 4u;
    // A row of squares is a quarter as long as a row of sums.
    let start = slot * L * stride * 5u;
    let to = start + row * width + column;
    store(to, row, p0 * s);
    store(to + width, row + 1u, p1 * s);
    store(to + 2u * width, row + 2u, p2 * s);
    store(to + 3u * width, row + 3u, p3 * s);
    store(to + 4u * width, row + 4u, p4 * s);
    store(to + 5u * width, row + 5u, p5 * s);
    store(to + 6u * width, row + 6u, p6 * s);
    store(to + 7u * width, row + 7u, p7 * s);
    // Each invocation reads only what it has stored itself. This loop is not unrolled: it would be
    // most of the code.
    for (var r = row; r < min(row + 8u, L); r++) {
        let i = (slot * L + r) * D + column;
        let at = start + r * width + column;
        var square = 0.0;
        for (var j = 0u; j < 4u; j++) {
            square += add_residuals(at + j, i + j, column + j);
        }
        sums[start + L * width + r * stride + columns] = square;
    }
}
