// attention: for each head, out = softmax(q k^T / sqrt(W)) v, every position sees every other; W = D / HEADS.
// A workgroup computes 32 queries of one head and 64 of its channels (all, unless a head is wider), 32 keys at a time, with the
// softmax's maximum and sum carried along. An invocation has 4 queries: their scores for 4 keys, then 8 channels of their result.
// Grid: L / 32, HEADS * (W / 64), live slots.

override L: u32 = 97u;     // positions
override D: u32 = 512u;    // hidden size
override HEADS: u32 = 8u;  // heads

@group(0) @binding(0) var<storage, read> live: array<u32>;       // [live slots]
@group(0) @binding(1) var<storage, read> qkv: array<f32>;        // [B, L, 3D]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;  // [B, L, D]

const K: u32 = 16u;  // channels of a tile of queries and keys, keys of a tile of values
var<workgroup> queries: array<vec4<f32>, 128>; // [K, 8, 4 queries]
var<workgroup> keys: array<vec4<f32>, 128>;    // [K, 8, 4 keys]
var<workgroup> values: array<vec4<f32>, 256>;  // [K, 16, 4 channels]
var<workgroup> chances: array<vec4<f32>, 256>; // exp(score - maximum), [32 keys, 8, 4 queries]
var<workgroup> rows: array<vec4<f32>, 64>;     // an invocation's share of a maximum or a sum, [8, 8, 4 queries]

// A channel of a head of query (0), key (1) or value (2); zero outside.
fn part(slot: u32, row: u32, which: u32, head: u32, channel: u32) -> f32 {
    let width = D / HEADS;
    if row < L && channel < width {
        return qkv[(slot * L + row) * 3u * D + which * D + head * width + channel];
    }
    return 0.0;
}

// A channel of 4 rows.
fn column(slot: u32, row: u32, which: u32, head: u32, channel: u32) -> vec4<f32> {
    return vec4<f32>(
        part(slot, row, which, head, channel), part(slot, row + 1u, which, head, channel),
        part(slot, row + 2u, which, head, channel), part(slot, row + 3u, which, head, channel),
    );
}

fn store(slot: u32, row: u32, head: u32, channel: u32, v: vec4<f32>) {
    let width = D / HEADS;
    if row >= L || channel >= width {
        return;
    }
    let i = (slot * L + row) * D + head * width + channel;
    out[i] = v.x;
    if channel + 1u < width { out[i + 1u] = v.y; }
    if channel + 2u < width { out[i + 2u] = v.z; }
    if channel + 3u < width { out[i + 3u] = v.w; }
}

@compute @workgroup_size(8, 8)
fn attention(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let slot = live[group.z];
    let width = D / HEADS;
    let blocks = (width + 63u) / 64u;
    let head = group.y / blocks;
    let offset = group.y % blocks * 64u;
    let query = group.x * 32u;
    let factor = inverseSqrt(f32(width));
    var maximum = vec4<f32>(-1e30);
    var sum = vec4<f32>();
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    var b0 = vec4<f32>();
    var b1 = vec4<f32>();
    var b2 = vec4<f32>();
    var b3 = vec4<f32>();
    for (var key = 0u; key < L; key += 32u) {
        // Scores of 4 queries, one vector for each of 4 keys.
        var s0 = vec4<f32>();
        var s1 = vec4<f32>();
        var s2 = vec4<f32>();
        var s3 = vec4<f32>();
        for (var first = 0u; first < width; first += K) {
            for (var i = id; i < 128u; i += 64u) {
                let to = i % K * 8u + i / K;
                queries[to] = column(slot, query + i / K * 4u, 0u, head, first + i % K);
                keys[to] = column(slot, key + i / K * 4u, 1u, head, first + i % K);
            }
            workgroupBarrier();
            for (var k = 0u; k < K; k++) {
                let q = queries[k * 8u + local.y];
                let x = keys[k * 8u + local.x];
                s0 += q * x.x;
                s1 += q * x.y;
                s2 += q * x.z;
                s3 += q * x.w;
            }
            workgroupBarrier();
        }
        let mine = key + local.x * 4u;
        let outside = vec4<f32>(-1e30);
        s0 = select(outside, s0 * factor, mine < L);
        s1 = select(outside, s1 * factor, mine + 1u < L);
        s2 = select(outside, s2 * factor, mine + 2u < L);
        s3 = select(outside, s3 * factor, mine + 3u < L);
        rows[id] = max(max(s0, s1), max(s2, s3));
        workgroupBarrier();
        let before = maximum;
        for (var i = 0u; i < 8u; i++) {
            maximum = max(maximum, rows[local.y * 8u + i]);
        }
        // The first tile has a key, so the maximum is a score from here on.
        let shrink = exp(before - maximum);
        s0 = exp(s0 - maximum);
        s1 = exp(s1 - maximum);
        s2 = exp(s2 - maximum);
        s3 = exp(s3 - maximum);
        sum = sum * shrink + (s0 + s1 + s2 + s3);
        a0 *= shrink.x;
        a1 *= shrink.y;
        a2 *= shrink.z;
        a3 *= shrink.w;
        b0 *= shrink.x;
        b1 *= shrink.y;
        b2 *= shrink.z;
        b3 *= shrink.w;
        let at = local.x * 32u + local.y;
        chances[at] = s0;
        chances[at + 8u] = s1;
        chances[at + 16u] = s2;
        chances[at + 24u] = s3;
        for (var part_of = 0u; part_of < 32u; part_of += K) {
            for (var i = id; i < 256u; i += 64u) {
                let row = key + part_of + i / 16u;
                let channel = offset + i % 16u * 4u;
                values[i] = vec4<f32>(
                    part(slot, row, 2u, head, channel), part(slot, row, 2u, head, channel + 1u),
                    part(slot, row, 2u, head, channel + 2u), part(slot, row, 2u, head, channel + 3u),
                );
            }
            workgroupBarrier();
            for (var k = 0u; k < K; k++) {
                let p = chances[(part_of + k) * 8u + local.y];
                let a = values[k * 16u + local.x];
                let b = values[k * 16u + 8u + local.x];
                a0 += p.x * a;
                a1 += p.y * a;
                a2 += p.z * a;
                a3 += p.w * a;
                b0 += p.x * b;
                b1 += p.y * b;
                b2 += p.z * b;
                b3 += p.w * b;
            }
            workgroupBarrier();
        }
    }
    rows[id] = sum;
    workgroupBarrier();
    var total = vec4<f32>();
    for (var i = 0u; i < 8u; i++) {
        total += rows[local.y * 8u + i];
    }
    let row = query + local.y * 4u;
    let channel = offset + local.x * 4u;
    store(slot, row, head, channel, a0 / total.x);
    store(slot, row + 1u, head, channel, a1 / total.y);
    store(slot, row + 2u, head, channel, a2 / total.z);
    store(slot, row + 3u, head, channel, a3 / total.w);
    store(slot, row, head, channel + 32u, b0 / total.x);
    store(slot, row + 1u, head, channel + 32u, b1 / total.y);
    store(slot, row + 2u, head, channel + 32u, b2 / total.z);
    store(slot, row + 3u, head, channel + 32u, b3 / total.w);
}
