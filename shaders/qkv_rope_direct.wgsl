// qkv_rope_direct: qkv_rope without workgroup memory, of one source. out = source qkv^T, queries and keys turned by their position.
// The 3 HEADS heads of queries, keys and values are cut into pairs of channels (i, i + half a head), which are turned together.
// An invocation computes 8 positions by 4 pairs; those of a workgroup have the same positions.
// Grid: pairs / 4 / WG, L / 8, live slots.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // hidden size
override HEADS: u32 = 8u;      // D / HEADS is the width of a head
override ROPE: u32 = 1u;       // 1: queries and keys are turned
override FORMAT: u32 = 0u;     // of the weights: 0 f32, 1 f16, 2 bf16, 3 int8
override WG: u32 = 64u;        // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;          // [live slots]
@group(0) @binding(1) var<storage, read> qkv: array<vec4<u32>>;     // [D, 3D]
@group(0) @binding(2) var<storage, read> rope: array<vec2<f32>>;    // cosine and sine, [L, half a head], read if ROPE
@group(0) @binding(3) var<storage, read> source: array<vec4<f32>>;  // [B, L, D]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;     // [B, L, 3D]

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

// Pairs of a head. In a head of odd width the last one has no second channel.
fn half_head() -> u32 {
    return (D / HEADS + 1u) / 2u;
}

// The first channel of a pair; a pair that is not there repeats the last.
fn first_channel(pair: u32) -> u32 {
    let half = half_head();
    let known = min(pair, 3u * HEADS * half - 1u);
    return known / half * (D / HEADS) + known % half;
}

// Whether 4 pairs are a quad of first channels and one of second channels.
fn aligned() -> bool {
    return half_head() % 4u == 0u && D / HEADS % 4u == 0u;
}

fn weight(k: u32, channel: u32) -> f32 {
    let at = k * quads(3u * D) + channel / 4u;
    return quad(qkv[place(at)], at)[channel % 4u];
}

// Weights of channel k for 4 pairs' first channels, or those `offset` further on.
fn weights(k: u32, pair: u32, offset: u32) -> vec4<f32> {
    let channel = first_channel(pair) + offset;
    if aligned() {
        let at = k * quads(3u * D) + channel / 4u;
        return quad(qkv[place(at)], at);
    }
    return vec4<f32>(
        weight(k, channel), weight(k, first_channel(pair + 1u) + offset),
        weight(k, first_channel(pair + 2u) + offset), weight(k, first_channel(pair + 3u) + offset),
    );
}

fn scale(channel: u32) -> f32 {
    return scales(qkv[(D + 3u) / 4u * quads(3u * D) + channel / 4u])[channel % 4u];
}

// Scales of the same channels.
fn scale4(pair: u32, offset: u32) -> vec4<f32> {
    return vec4<f32>(
        scale(first_channel(pair) + offset), scale(first_channel(pair + 1u) + offset),
        scale(first_channel(pair + 2u) + offset), scale(first_channel(pair + 3u) + offset),
    );
}

// The sum so far, and the product of a row's 4 inputs with 4 rows of weights.
fn added(sum: vec4<f32>, x: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return sum + x.x * w[0] + x.y * w[1] + x.z * w[2] + x.w * w[3];
}

fn store(slot: u32, row: u32, pair: u32, a: f32, b: f32) {
    let half = half_head();
    let width = D / HEADS;
    let head = pair / half;
    let i = pair % half;
    if row >= L || head >= 3u * HEADS {
        return;
    }
    var turned = vec2<f32>(a, b);
    if ROPE == 1u && head < 2u * HEADS {
        let turn = rope[row * half + i];
        turned = vec2<f32>(a * turn.x - b * turn.y, b * turn.x + a * turn.y);
    }
    let at = (slot * L + row) * 3u * D + head * width + i;
    out[at] = turned.x;
    if i + half < width { out[at + half] = turned.y; }
}

fn store4(slot: u32, row: u32, pair: u32, a: vec4<f32>, b: vec4<f32>) {
    store(slot, row, pair, a.x, b.x);
    store(slot, row, pair + 1u, a.y, b.y);
    store(slot, row, pair + 2u, a.z, b.z);
    store(slot, row, pair + 3u, a.w, b.w);
}

@compute @workgroup_size(WG)
fn qkv_rope_direct(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let half = half_head();
    let pair = (group.x * WG + id) * 4u;
    if pair >= 3u * HEADS * half {
        return;
    }
    let slot = live[group.z];
    let row = group.y * 8u;
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    var a4 = vec4<f32>();
    var a5 = vec4<f32>();
    var a6 = vec4<f32>();
    var a7 = vec4<f32>();
    var b0 = vec4<f32>();
    var b1 = vec4<f32>();
    var b2 = vec4<f32>();
    var b3 = vec4<f32>();
    var b4 = vec4<f32>();
    var b5 = vec4<f32>();
    var b6 = vec4<f32>();
    var b7 = vec4<f32>();
    for (var k = 0u; k < D; k += 4u) {
        let x0 = input(slot, row, k);
        let x1 = input(slot, row + 1u, k);
        let x2 = input(slot, row + 2u, k);
        let x3 = input(slot, row + 3u, k);
        let x4 = input(slot, row + 4u, k);
        let x5 = input(slot, row + 5u, k);
        let x6 = input(slot, row + 6u, k);
        let x7 = input(slot, row + 7u, k);
        let first = mat4x4<f32>(
            weights(k, pair, 0u), weights(k + 1u, pair, 0u), weights(k + 2u, pair, 0u), weights(k + 3u, pair, 0u),
        );
        let second = mat4x4<f32>(
            weights(k, pair, half), weights(k + 1u, pair, half),
            weights(k + 2u, pair, half), weights(k + 3u, pair, half),
        );
        a0 = added(a0, x0, first);
        a1 = added(a1, x1, first);
        a2 = added(a2, x2, first);
        a3 = added(a3, x3, first);
        a4 = added(a4, x4, first);
        a5 = added(a5, x5, first);
        a6 = added(a6, x6, first);
        a7 = added(a7, x7, first);
        b0 = added(b0, x0, second);
        b1 = added(b1, x1, second);
        b2 = added(b2, x2, second);
        b3 = added(b3, x3, second);
        b4 = added(b4, x4, second);
        b5 = added(b5, x5, second);
        b6 = added(b6, x6, second);
        b7 = added(b7, x7, second);
    }
    let a = scale4(pair, 0u);
    let b = scale4(pair, half);
    store4(slot, row, pair, a0 * a, b0 * b);
    store4(slot, row + 1u, pair, a1 * a, b1 * b);
    store4(slot, row + 2u, pair, a2 * a, b2 * b);
    store4(slot, row + 3u, pair, a3 * a, b3 * b);
    store4(slot, row + 4u, pair, a4 * a, b4 * b);
    store4(slot, row + 5u, pair, a5 * a, b5 * b);
    store4(slot, row + 6u, pair, a6 * a, b6 * b);
    store4(slot, row + 7u, pair, a7 * a, b7 * b);
}
