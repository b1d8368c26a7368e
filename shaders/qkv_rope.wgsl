// qkv_rope: s = sum of its sources; out = s qkv^T, queries and keys turned by their position.
// The 3 HEADS heads of queries, keys and values are cut into pairs of channels (i, i + half a head), which are turned together.
// A workgroup computes 32 positions by 32 pairs, an invocation 4 by 4 of them. Grid: pairs / 32, L / 32, live slots.

override L: u32 = 97u;       // positions
override D: u32 = 512u;      // hidden size
override HEADS: u32 = 8u;    // D / HEADS is the width of a head
override SOURCES: u32 = 3u;  // 1 to 4
override ROPE: u32 = 1u;     // 1: queries and keys are turned
override FORMAT: u32 = 0u;   // of the weights: 0 f32, 1 f16, 2 bf16, 3 int8

@group(0) @binding(0) var<storage, read> live: array<u32>;       // [live slots]
@group(0) @binding(1) var<storage, read> qkv: array<vec4<u32>>;  // [D, 3D]
@group(0) @binding(2) var<storage, read> rope: array<vec2<f32>>; // cosine and sine, [L, half a head], read if ROPE
@group(0) @binding(3) var<storage, read> source0: array<f32>;    // [B, L, D]
@group(0) @binding(4) var<storage, read> source1: array<f32>;    // [B, L, D], read if SOURCES > 1
@group(0) @binding(5) var<storage, read> source2: array<f32>;    // [B, L, D], read if SOURCES > 2
@group(0) @binding(6) var<storage, read> source3: array<f32>;    // [B, L, D], read if SOURCES > 3
@group(0) @binding(7) var<storage, read_write> out: array<f32>;  // [B, L, 3D]

const K: u32 = 16u;  // channels of a tile
var<workgroup> tile: array<vec4<f32>, 128>;    // s, [K, 8, 4 positions]
var<workgroup> firsts: array<vec4<f32>, 128>;  // weights of the pairs' first channels, [K, 8, 4 pairs]
var<workgroup> seconds: array<vec4<f32>, 128>; // weights of the pairs' second channels, [K, 8, 4 pairs]

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

fn s(slot: u32, row: u32, k: u32) -> f32 {
    if row >= L || k >= D {
        return 0.0;
    }
    let i = (slot * L + row) * D + k;
    var sum = source0[i];
    if SOURCES > 1u { sum += source1[i]; }
    if SOURCES > 2u { sum += source2[i]; }
    if SOURCES > 3u { sum += source3[i]; }
    return sum;
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

@compute @workgroup_size(8, 8)
fn qkv_rope(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let slot = live[group.z];
    let half = half_head();
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    var b0 = vec4<f32>();
    var b1 = vec4<f32>();
    var b2 = vec4<f32>();
    var b3 = vec4<f32>();
    for (var first = 0u; first < D; first += K) {
        for (var i = id; i < 128u; i += 64u) {
            let row = group.y * 32u + i / K * 4u;
            let k = first + i % K;
            tile[i % K * 8u + i / K] =
                vec4<f32>(s(slot, row, k), s(slot, row + 1u, k), s(slot, row + 2u, k), s(slot, row + 3u, k));
            let pair = group.x * 32u + i % 8u * 4u;
            let channel = first + i / 8u;
            var a = vec4<f32>();
            var b = vec4<f32>();
            if channel < D {
                a = weights(channel, pair, 0u);
                b = weights(channel, pair, half);
            }
            firsts[i] = a;
            seconds[i] = b;
        }
        workgroupBarrier();
        for (var k = 0u; k < K; k++) {
            let x = tile[k * 8u + local.y];
            let a = firsts[k * 8u + local.x];
            let b = seconds[k * 8u + local.x];
            a0 += x.x * a;
            a1 += x.y * a;
            a2 += x.z * a;
            a3 += x.w * a;
            b0 += x.x * b;
            b1 += x.y * b;
            b2 += x.z * b;
            b3 += x.w * b;
        }
        workgroupBarrier();
    }
    let row = group.y * 32u + local.y * 4u;
    let pair = group.x * 32u + local.x * 4u;
    let a = scale4(pair, 0u);
    let b = scale4(pair, half);
    store4(slot, row, pair, a0 * a, b0 * b);
    store4(slot, row + 1u, pair, a1 * a, b1 * b);
    store4(slot, row + 2u, pair, a2 * a, b2 * b);
    store4(slot, row + 3u, pair, a3 * a, b3 * b);
}
