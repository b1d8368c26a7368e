// project_direct: project_add_norm without workgroup memory, but for the norm. sums = weight input + sum of the residuals.
// An invocation computes 8 rows by 4 columns, and of each row its share of the sum of squares; norm_direct goes on from there.
// Those of a workgroup have the same rows. Grid: D / 4 / WG, L / 8, live slots.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // columns: the hidden size
override K: u32 = 1536u;       // width of the input
override SOURCES: u32 = 1u;    // residuals, 1 to 4
override FORMAT: u32 = 0u;     // of the weights: 0 f32, 1 f16, 2 bf16, 3 int8
override WG: u32 = 64u;        // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;          // [live slots]
@group(0) @binding(1) var<storage, read> weight: array<vec4<u32>>;  // [K, D]
@group(0) @binding(2) var<storage, read> source: array<vec4<f32>>;  // the input, [B, L, K]
@group(0) @binding(3) var<storage, read> residual0: array<f32>;     // [B, L, D]
@group(0) @binding(4) var<storage, read> residual1: array<f32>;     // [B, L, D], read if SOURCES > 1
@group(0) @binding(5) var<storage, read> residual2: array<f32>;     // [B, L, D], read if SOURCES > 2
@group(0) @binding(6) var<storage, read> residual3: array<f32>;     // [B, L, D], read if SOURCES > 3
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;    // a slot: [L, D], then the squares [L, D / 4]; see norm_direct

// Quads of a row of n weights: rows are padded with zeros to a multiple of 16.
fn quads(n: u32) -> u32 {
    return (n + 15u) / 16u * 4u;
}

// The vector in which quad i of the weights lies: one holds a quad of f32, two of f16 or bf16, four of int8.
fn place(i: u32) -> u32 {
    return i >> ((FORMAT + 1u) / 2u);
}

// Quad i of the weights, from the vector in which it lies.
fn quad(v: vec4<u32>, i: u32) -> vec4<f32> {
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
    return bitcast<vec4<f32>>(vec4<u32>(two.x << 16u, two.x & 0xffff0000u, two.y << 16u, two.y & 0xffff0000u));
}

// What a quad of outputs is multiplied by in the end: with int8 the scales of its rows, a vector behind the weights.
fn scales(v: vec4<u32>) -> vec4<f32> {
    if FORMAT == 3u {
        return bitcast<vec4<f32>>(v);
    }
    return vec4<f32>(1.0);
}

fn element(i: u32) -> f32 {
    return source[i / 4u][i % 4u];
}

// Inputs k .. k + 3 of a row, zero beyond the last; a row that is not there repeats the last and is not stored.
fn input(slot: u32, row: u32, k: u32) -> vec4<f32> {
    let i = (slot * L + min(row, L - 1u)) * K + k;
    if K % 4u == 0u {
        return source[i / 4u];
    }
    var v = vec4<f32>(element(i), 0.0, 0.0, 0.0);
    if k + 1u < K { v.y = element(i + 1u); }
    if k + 2u < K { v.z = element(i + 2u); }
    if k + 3u < K { v.w = element(i + 3u); }
    return v;
}

fn weights(i: u32) -> vec4<f32> {
    return quad(weight[place(i)], i);
}

// The sum so far, and the product of a row's 4 inputs with 4 rows of weights.
fn added(sum: vec4<f32>, x: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return sum + x.x * w[0] + x.y * w[1] + x.z * w[2] + x.w * w[3];
}

fn residual(i: u32) -> f32 {
    var sum = residual0[i];
    if SOURCES > 1u { sum += residual1[i]; }
    if SOURCES > 2u { sum += residual2[i]; }
    if SOURCES > 3u { sum += residual3[i]; }
    return sum;
}

// Stores a row's 4 columns. Columns beyond the last are zeros.
fn store(to: u32, row: u32, projected: vec4<f32>) {
    if row >= L {
        return;
    }
    sums[to] = projected.x;
    sums[to + 1u] = projected.y;
    sums[to + 2u] = projected.z;
    sums[to + 3u] = projected.w;
}

// Adds the residual to what is stored, and returns the square.
fn complete(to: u32, i: u32, column: u32) -> f32 {
    if column >= D {
        return 0.0;
    }
    let v = sums[to] + residual(i);
    sums[to] = v;
    return v * v;
}

@compute @workgroup_size(WG)
fn project_direct(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let stride = quads(D);
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
        let x0 = input(slot, row, k);
        let x1 = input(slot, row + 1u, k);
        let x2 = input(slot, row + 2u, k);
        let x3 = input(slot, row + 3u, k);
        let x4 = input(slot, row + 4u, k);
        let x5 = input(slot, row + 5u, k);
        let x6 = input(slot, row + 6u, k);
        let x7 = input(slot, row + 7u, k);
        let at = k * stride + columns;
        let w = mat4x4<f32>(
            weights(at), weights(at + stride), weights(at + 2u * stride), weights(at + 3u * stride),
        );
        p0 = added(p0, x0, w);
        p1 = added(p1, x1, w);
        p2 = added(p2, x2, w);
        p3 = added(p3, x3, w);
        p4 = added(p4, x4, w);
        p5 = added(p5, x5, w);
        p6 = added(p6, x6, w);
        p7 = added(p7, x7, w);
    }
    let s = scales(weight[(K + 3u) / 4u * stride + columns]);
    let width = stride * 4u;
    let column = columns * 4u;
    // A row of squares takes a quarter of a row of sums.
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
    // The invocation finds here what it has stored; unrolled, this would be most of the code.
    for (var r = row; r < min(row + 8u, L); r++) {
        let i = (slot * L + r) * D + column;
        let at = start + r * width + column;
        var square = 0.0;
        for (var j = 0u; j < 4u; j++) {
            square += complete(at + j, i + j, column + j);
        }
        sums[start + L * width + r * stride + columns] = square;
    }
}
