// swiglu_direct: swiglu without workgroup memory. out = silu(gate input) * (up input).
// An invocation computes 8 positions by 4 inner units, gate and up both; those of a workgroup have the same positions.
// Grid: I / 4 / WG, L / 8, live slots.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // hidden size
override I: u32 = 1536u;       // inner units
override FORMAT: u32 = 0u;     // of the weights: 0 f32, 1 f16, 2 bf16, 3 int8
override WG: u32 = 64u;        // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;           // [live slots]
@group(0) @binding(1) var<storage, read> gate_up: array<vec4<u32>>;  // [D, 2, I]
@group(0) @binding(2) var<storage, read> source: array<vec4<f32>>;   // [B, L, D]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;      // [B, L, I]

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
    let i = (slot * L + min(row, L - 1u)) * D + k;
    if D % 4u == 0u {
        return source[i / 4u];
    }
    var v = vec4<f32>(element(i), 0.0, 0.0, 0.0);
    if k + 1u < D { v.y = element(i + 1u); }
    if k + 2u < D { v.z = element(i + 2u); }
    if k + 3u < D { v.w = element(i + 3u); }
    return v;
}

fn weights(i: u32) -> vec4<f32> {
    return quad(gate_up[place(i)], i);
}

// The sum so far, and the product of a row's 4 inputs with 4 rows of weights.
fn added(sum: vec4<f32>, x: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return sum + x.x * w[0] + x.y * w[1] + x.z * w[2] + x.w * w[3];
}

fn store(slot: u32, row: u32, unit: u32, gate: vec4<f32>, up: vec4<f32>) {
    if row >= L || unit >= I {
        return;
    }
    // The bound keeps exp finite; silu is 0 there.
    let v = gate / (1.0 + exp(-max(gate, vec4<f32>(-80.0)))) * up;
    let i = (slot * L + row) * I + unit;
    out[i] = v.x;
    if unit + 1u < I { out[i + 1u] = v.y; }
    if unit + 2u < I { out[i + 2u] = v.z; }
    if unit + 3u < I { out[i + 3u] = v.w; }
}

@compute @workgroup_size(WG)
fn swiglu_direct(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let stride = quads(I);
    let units = group.x * WG + id;
    if units >= stride {
        return;
    }
    let slot = live[group.z];
    let row = group.y * 8u;
    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    var g2 = vec4<f32>();
    var g3 = vec4<f32>();
    var g4 = vec4<f32>();
    var g5 = vec4<f32>();
    var g6 = vec4<f32>();
    var g7 = vec4<f32>();
    var u0 = vec4<f32>();
    var u1 = vec4<f32>();
    var u2 = vec4<f32>();
    var u3 = vec4<f32>();
    var u4 = vec4<f32>();
    var u5 = vec4<f32>();
    var u6 = vec4<f32>();
    var u7 = vec4<f32>();
    for (var k = 0u; k < D; k += 4u) {
        let x0 = input(slot, row, k);
        let x1 = input(slot, row + 1u, k);
        let x2 = input(slot, row + 2u, k);
        let x3 = input(slot, row + 3u, k);
        let x4 = input(slot, row + 4u, k);
        let x5 = input(slot, row + 5u, k);
        let x6 = input(slot, row + 6u, k);
        let x7 = input(slot, row + 7u, k);
        let at = k * 2u * stride + units;
        let gate = mat4x4<f32>(
            weights(at), weights(at + 2u * stride), weights(at + 4u * stride), weights(at + 6u * stride),
        );
        let up = mat4x4<f32>(
            weights(at + stride), weights(at + 3u * stride), weights(at + 5u * stride), weights(at + 7u * stride),
        );
        g0 = added(g0, x0, gate);
        g1 = added(g1, x1, gate);
        g2 = added(g2, x2, gate);
        g3 = added(g3, x3, gate);
        g4 = added(g4, x4, gate);
        g5 = added(g5, x5, gate);
        g6 = added(g6, x6, gate);
        g7 = added(g7, x7, gate);
        u0 = added(u0, x0, up);
        u1 = added(u1, x1, up);
        u2 = added(u2, x2, up);
        u3 = added(u3, x3, up);
        u4 = added(u4, x4, up);
        u5 = added(u5, x5, up);
        u6 = added(u6, x6, up);
        u7 = added(u7, x7, up);
    }
    let end = (D + 3u) / 4u * 2u * stride;
    let g = scales(gate_up[end + units]);
    let u = scales(gate_up[end + stride + units]);
    let unit = units * 4u;
    store(slot, row, unit, g0 * g, u0 * u);
    store(slot, row + 1u, unit, g1 * g, u1 * u);
    store(slot, row + 2u, unit, g2 * g, u2 * u);
    store(slot, row + 3u, unit, g3 * g, u3 * u);
    store(slot, row + 4u, unit, g4 * g, u4 * u);
    store(slot, row + 5u, unit, g5 * g, u5 * u);
    store(slot, row + 6u, unit, g6 * g, u6 * u);
    store(slot, row + 7u, unit, g7 * g, u7 * u);
}
