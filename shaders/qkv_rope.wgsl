// qkv_rope: s = sum of its sources; out = s qkv^T, queries and keys turned by their position.
// The 3 HEADS heads of queries, keys and values are cut into pairs of channels (i, i + half a head), which are turned together.
// A workgroup computes 32 positions by 32 pairs, an invocation 4 by 4 of them. Grid: pairs / 32, L / 32, live slots.

override L: u32 = 97u;       // positions
override D: u32 = 512u;      // hidden size
override HEADS: u32 = 8u;    // D / HEADS is the width of a head
override SOURCES: u32 = 3u;  // 1 to 4
override ROPE: u32 = 1u;     // 1: queries and keys are turned

@group(0) @binding(0) var<storage, read> live: array<u32>;       // [live slots]
@group(0) @binding(1) var<storage, read> qkv: array<f32>;        // [D, 3D], the checkpoint's transposed
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

// Pairs of a head. In a head of odd width the last one has no second channel.
fn half_head() -> u32 {
    return (D / HEADS + 1u) / 2u;
}

fn weights(pair: u32, k: u32) -> vec2<f32> {
    let half = half_head();
    let width = D / HEADS;
    let head = pair / half;
    let i = pair % half;
    var w = vec2<f32>();
    if head < 3u * HEADS && k < D {
        let at = k * 3u * D + head * width + i;
        w.x = qkv[at];
        if i + half < width { w.y = qkv[at + half]; }
    }
    return w;
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
            let w0 = weights(pair, channel);
            let w1 = weights(pair + 1u, channel);
            let w2 = weights(pair + 2u, channel);
            let w3 = weights(pair + 3u, channel);
            firsts[i] = vec4<f32>(w0.x, w1.x, w2.x, w3.x);
            seconds[i] = vec4<f32>(w0.y, w1.y, w2.y, w3.y);
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
    store4(slot, row, pair, a0, b0);
    store4(slot, row + 1u, pair, a1, b1);
    store4(slot, row + 2u, pair, a2, b2);
    store4(slot, row + 3u, pair, a3, b3);
}
