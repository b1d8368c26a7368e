// attention_direct: attention without workgroup memory.
//
// out = softmax(q k^T / sqrt(W)) v for each head; W = D / HEADS. An invocation computes 32 channels
// of one query's result, 4 keys at a time, and carries the maximum and the sum of the softmax
// along. In a head of more than 32 channels several invocations compute the same scores. The
// invocations of a workgroup have the same head. Grid: L / WG, HEADS * (W / 32), live slots.

override L: u32 = 97u;     // positions
override D: u32 = 512u;    // hidden size
override HEADS: u32 = 8u;  // heads
override WG: u32 = 64u;    // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;       // [live slots]
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;  // [B, L, 3D]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;  // [B, L, D]

fn qkv_element(i: u32) -> f32 {
    return qkv[i / 4u][i % 4u];
}

// Returns where the head of a row's query (0), key (1) or value (2) starts. A row beyond the last
// repeats the last.
fn head_start(slot: u32, row: u32, which: u32, head: u32) -> u32 {
    return ((slot * L + min(row, L - 1u)) * 3u + which) * D + head * (D / HEADS);
}

// Returns channels channel .. channel + 3 of the head that starts at i, zero beyond its end.
fn head_channels4(i: u32, channel: u32) -> vec4<f32> {
    let width = D / HEADS;
    var v = vec4<f32>();
    if width % 4u == 0u {
        if channel < width { v = qkv[(i + channel) / 4u]; }
        return v;
    }
    if channel < width { v.x = qkv_element(i + channel); }
    if channel + 1u < width { v.y = qkv_element(i + channel + 1u); }
    if channel + 2u < width { v.z = qkv_element(i + channel + 2u); }
    if channel + 3u < width { v.w = qkv_element(i + channel + 3u); }
    return v;
}

fn store(i: u32, channel: u32, v: vec4<f32>) {
    let width = D / HEADS;
    if channel < width { out[i + channel] = v.x; }
    if channel + 1u < width { out[i + channel + 1u] = v.y; }
    if channel + 2u < width { out[i + channel + 2u] = v.z; }
    if channel + 3u < width { out[i + channel + 3u] = v.w; }
}

@compute @workgroup_size(WG)
fn attention_direct(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let width = D / HEADS;
    let blocks = (width + 31u) / 32u;
    let head = group.y / blocks;
    let channel = group.y % blocks * 32u;
    let query = group.x * WG + id;
    if query >= L {
        return;
    }
    let slot = live[group.z];
    let q = head_start(slot, query, 0u, head);
    let factor = inverseSqrt(f32(width));
    var maximum = -1e30;
    var sum = 0.0;
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    var a4 = vec4<f32>();
    var a5 = vec4<f32>();
    var a6 = vec4<f32>();
    var a7 = vec4<f32>();
    for (var key = 0u; key < L; key += 4u) {
        let k0 = head_start(slot, key, 1u, head);
        let k1 = head_start(slot, key + 1u, 1u, head);
        let k2 = head_start(slot, key + 2u, 1u, head);
        let k3 = head_start(slot, key + 3u, 1u, head);
        var scores = vec4<f32>();
        for (var c = 0u; c < width; c += 4u) {
            let x = head_channels4(q, c);
            scores += vec4<f32>(
                dot(x, head_channels4(k0, c)), dot(x, head_channels4(k1, c)),
                dot(x, head_channels4(k2, c)), dot(x, head_channels4(k3, c)),
            );
        }
        scores *= factor;
        // The first key always exists, so from here on the maximum is a score.
        if key + 1u >= L { scores.y = -1e30; }
        if key + 2u >= L { scores.z = -1e30; }
        if key + 3u >= L { scores.w = -1e30; }
        let new_maximum = max(maximum, max(max(scores.x, scores.y), max(scores.z, scores.w)));
        let rescale = exp(maximum - new_maximum);
        maximum = new_maximum;
        let exp_scores = exp(scores - new_maximum);
        sum = sum * rescale + dot(exp_scores, vec4<f32>(1.0));
        a0 *= rescale;
        a1 *= rescale;
        a2 *= rescale;
        a3 *= rescale;
        a4 *= rescale;
        a5 *= rescale;
        a6 *= rescale;
        a7 *= rescale;
        for (var j = 0u; j < 4u; j++) {
            let exp_score = exp_scores[j];
            let v = head_start(slot, key + j, 2u, head);
            a0 += exp_score * head_channels4(v, channel);
            a1 += exp_score * head_channels4(v, channel + 4u);
            a2 += exp_score * head_channels4(v, channel + 8u);
            a3 += exp_score * head_channels4(v, channel + 12u);
            a4 += exp_score * head_channels4(v, channel + 16u);
            a5 += exp_score * head_channels4(v, channel + 20u);
            a6 += exp_score * head_channels4(v, channel + 24u);
            a7 += exp_score * head_channels4(v, channel + 28u);
        }
    }
    let i = (slot * L + query) * D + head * width;
    store(i, channel, a0 / sum);
    store(i, channel + 4u, a1 / sum);
    store(i, channel + 8u, a2 / sum);
    store(i, channel + 12u, a3 / sum);
    store(i, channel + 16u, a4 / sum);
    store(i, channel + 20u, a5 / sum);
    store(i, channel + 24u, a6 / sum);
    store(i, channel + 28u, a7 / sum);
}
