// attention: out = softmax(q k^T / sqrt(W)) v for each head, every position with every other.
//
// W = D / HEADS. A workgroup computes 32 queries of one head and 64 of its channels (all channels
// of a head of up to 64), 32 keys at a time. It carries the maximum and the sum of the softmax
// along. An invocation has 4 queries: first their scores for 4 keys, then 8 channels of their
// result. Grid: L / 32, HEADS * (W / 64), live slots.
// Uses shared/store4.wgsl.

override L: u32 = 97u;     // positions
override D: u32 = 512u;    // hidden size
override HEADS: u32 = 8u;  // heads

@group(0) @binding(0) var<storage, read> live: array<u32>;       // [live slots]
@group(0) @binding(1) var<storage, read> qkv: array<f32>;        // [B, L, 3D]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;  // [B, L, D]

const K: u32 = 16u;  // channels per tile of queries and keys, keys per tile of values
var<workgroup> queries: array<vec4<f32>, 128>;     // [K, 8, 4 queries]
var<workgroup> keys: array<vec4<f32>, 128>;        // [K, 8, 4 keys]
var<workgroup> values: array<vec4<f32>, 256>;      // [K, 16, 4 channels]
var<workgroup> exp_scores: array<vec4<f32>, 256>;  // exp(score - maximum), [32 keys, 8, 4 queries]
// An invocation's part of a maximum or of a sum, [8, 8, 4 queries].
var<workgroup> partials: array<vec4<f32>, 64>;

// Returns a channel of a head's query (0), key (1) or value (2), zero outside.
fn qkv_element(slot: u32, row: u32, which: u32, head: u32, channel: u32) -> f32 {
    let width = D / HEADS;
    if row < L && channel < width {
        return qkv[(slot * L + row) * 3u * D + which * D + head * width + channel];
    }
    return 0.0;
}

// Returns a channel of 4 rows.
fn qkv_rows4(slot: u32, row: u32, which: u32, head: u32, channel: u32) -> vec4<f32> {
    return vec4<f32>(
        qkv_element(slot, row, which, head, channel),
        qkv_element(slot, row + 1u, which, head, channel),
        qkv_element(slot, row + 2u, which, head, channel),
        qkv_element(slot, row + 3u, which, head, channel),
    );
}

fn store(slot: u32, row: u32, head: u32, channel: u32, v: vec4<f32>) {
    let width = D / HEADS;
    if row >= L || channel >= width {
        return;
    }
    store4((slot * L + row) * D + head * width + channel, channel, width, v);
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
                queries[to] = qkv_rows4(slot, query + i / K * 4u, 0u, head, first + i % K);
                keys[to] = qkv_rows4(slot, key + i / K * 4u, 1u, head, first + i % K);
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
        let own_key = key + local.x * 4u;
        let outside = vec4<f32>(-1e30);
        s0 = select(outside, s0 * factor, own_key < L);
        s1 = select(outside, s1 * factor, own_key + 1u < L);
        s2 = select(outside, s2 * factor, own_key + 2u < L);
        s3 = select(outside, s3 * factor, own_key + 3u < L);
        partials[id] = max(max(s0, s1), max(s2, s3));
        workgroupBarrier();
        let old_maximum = maximum;
        for (var i = 0u; i < 8u; i++) {
            maximum = max(maximum, partials[local.y * 8u + i]);
        }
        // The first tile has a key, so from here on the maximum is a score.
        let rescale = exp(old_maximum - maximum);
        s0 = exp(s0 - maximum);
        s1 = exp(s1 - maximum);
        s2 = exp(s2 - maximum);
        s3 = exp(s3 - maximum);
        sum = sum * rescale + (s0 + s1 + s2 + s3);
        a0 *= rescale.x;
        a1 *= rescale.y;
        a2 *= rescale.z;
        a3 *= rescale.w;
        b0 *= rescale.x;
        b1 *= rescale.y;
        b2 *= rescale.z;
        b3 *= rescale.w;
        let at = local.x * 32u + local.y;
        exp_scores[at] = s0;
        exp_scores[at + 8u] = s1;
        exp_scores[at + 16u] = s2;
        exp_scores[at + 24u] = s3;
        for (var first = 0u; first < 32u; first += K) {
            for (var i = id; i < 256u; i += 64u) {
                let row = key + first + i / 16u;
                let channel = offset + i % 16u * 4u;
                values[i] = vec4<f32>(
                    qkv_element(slot, row, 2u, head, channel),
                    qkv_element(slot, row, 2u, head, channel + 1u),
                    qkv_element(slot, row, 2u, head, channel + 2u),
                    qkv_element(slot, row, 2u, head, channel + 3u),
                );
            }
            workgroupBarrier();
            for (var k = 0u; k < K; k++) {
                let p = exp_scores[(first + k) * 8u + local.y];
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
    partials[id] = sum;
    workgroupBarrier();
    var total = vec4<f32>();
    for (var i = 0u; i < 8u; i++) {
        total += partials[local.y * 8u + i];
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
