// token_mix_direct_down: the second of the three dispatches of token_mix without workgroup memory.
// sums = source + down gated, across the positions, for each channel; norm_direct goes on from there.
// An invocation computes 8 positions of 4 channels, and their share of the channels' sums of squares; those of a workgroup have the
// same positions. Grid: D / 4 / WG, L / 8, live slots.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // hidden size
override T: u32 = 512u;        // inner units
override FORMAT: u32 = 0u;     // of the weights: 0 f32, 1 f16, 2 bf16, 3 int8
override WG: u32 = 64u;        // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;              // [live slots]
@group(0) @binding(1) var<storage, read> down: array<vec4<u32>>;        // [T, L]
@group(0) @binding(2) var<storage, read> source: array<vec4<f32>>;      // [B, L, D]
@group(0) @binding(3) var<storage, read> gated: array<vec4<f32>>;       // [B, T, D], T padded to a multiple of 8, D of 16
@group(0) @binding(4) var<storage, read_write> sums: array<vec4<f32>>;  // a slot: [L, D], then the squares [L / 8, D]

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

// Channels channel .. channel + 3 of a position, zero beyond the last.
fn input(slot: u32, row: u32, channel: u32) -> vec4<f32> {
    let i = (slot * L + row) * D + channel;
    if D % 4u == 0u && channel < D {
        return source[i / 4u];
    }
    var v = vec4<f32>();
    if channel < D { v.x = element(i); }
    if channel + 1u < D { v.y = element(i + 1u); }
    if channel + 2u < D { v.z = element(i + 2u); }
    if channel + 3u < D { v.w = element(i + 3u); }
    return v;
}

fn weights(i: u32) -> vec4<f32> {
    return quad(down[place(i)], i);
}

// Stores a position's 4 channels with the source added and returns their squares.
fn store(slot: u32, row: u32, channels: u32, mixed: vec4<f32>) -> vec4<f32> {
    if row >= L {
        return vec4<f32>();
    }
    let v = mixed + input(slot, row, channels * 4u);
    sums[(slot * (L + (L + 7u) / 8u) + row) * quads(D) + channels] = v;
    return v * v;
}

@compute @workgroup_size(WG)
fn token_mix_direct_down(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let channels = group.x * WG + id;
    let width = quads(D);
    if channels >= width {
        return;
    }
    let slot = live[group.z];
    let stride = quads(L);
    let positions = group.y * 2u;
    let row = group.y * 8u;
    let start = slot * ((T + 7u) / 8u * 8u) * width + channels;
    var p0 = vec4<f32>();
    var p1 = vec4<f32>();
    var p2 = vec4<f32>();
    var p3 = vec4<f32>();
    var p4 = vec4<f32>();
    var p5 = vec4<f32>();
    var p6 = vec4<f32>();
    var p7 = vec4<f32>();
    for (var unit = 0u; unit < T; unit++) {
        let x = gated[start + unit * width];
        let at = unit * stride + positions;
        let w = weights(at);
        let v = weights(at + 1u);
        p0 += w.x * x;
        p1 += w.y * x;
        p2 += w.z * x;
        p3 += w.w * x;
        p4 += v.x * x;
        p5 += v.y * x;
        p6 += v.z * x;
        p7 += v.w * x;
    }
    let end = (T + 3u) / 4u * stride;
    let w = scales(down[end + positions]);
    let v = scales(down[end + positions + 1u]);
    var square = store(slot, row, channels, p0 * w.x);
    square += store(slot, row + 1u, channels, p1 * w.y);
    square += store(slot, row + 2u, channels, p2 * w.z);
    square += store(slot, row + 3u, channels, p3 * w.w);
    square += store(slot, row + 4u, channels, p4 * v.x);
    square += store(slot, row + 5u, channels, p5 * v.y);
    square += store(slot, row + 6u, channels, p6 * v.z);
    square += store(slot, row + 7u, channels, p7 * v.w);
    sums[(slot * (L + (L + 7u) / 8u) + L + group.y) * width + channels] = square;
}
