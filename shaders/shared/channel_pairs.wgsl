// The pairs of channels (i, i + half a head) of queries, keys and values, which RoPE rotates.
// Expects the overrides L, D, HEADS and ROPE, the bindings qkv (array<vec4<u32>>), rope and out,
// and shared/math.wgsl and shared/weights.wgsl.

// Returns the pairs of a head. In a head of odd width the last pair has no second channel.
fn half_head() -> u32 {
    return (D / HEADS + 1u) / 2u;
}

// Returns the first channel of a pair. A pair beyond the last repeats the last.
fn first_channel(pair: u32) -> u32 {
    let half = half_head();
    let existing = min(pair, 3u * HEADS * half - 1u);
    return existing / half * (D / HEADS) + existing % half;
}

// Returns whether the first channels of 4 pairs are one 4-vector, and the second channels another.
fn pairs_aligned() -> bool {
    return half_head() % 4u == 0u && D / HEADS % 4u == 0u;
}

fn qkv_weight(k: u32, channel: u32) -> f32 {
    let at = k * padded_vec4s(3u * D) + channel / 4u;
    return unpack4(qkv[vector_of(at)], at)[channel % 4u];
}

// Returns the weights of input k for the first channels of 4 pairs, plus `offset` channels each.
fn pair_weights4(k: u32, pair: u32, offset: u32) -> vec4<f32> {
    let channel = first_channel(pair) + offset;
    if pairs_aligned() {
        let at = k * padded_vec4s(3u * D) + channel / 4u;
        return unpack4(qkv[vector_of(at)], at);
    }
    return vec4<f32>(
        qkv_weight(k, channel), qkv_weight(k, first_channel(pair + 1u) + offset),
        qkv_weight(k, first_channel(pair + 2u) + offset),
        qkv_weight(k, first_channel(pair + 3u) + offset),
    );
}

fn qkv_scale(channel: u32) -> f32 {
    return scales(qkv[(D + 3u) / 4u * padded_vec4s(3u * D) + channel / 4u])[channel % 4u];
}

// Returns the scales of the channels of pair_weights4.
fn pair_scales4(pair: u32, offset: u32) -> vec4<f32> {
    return vec4<f32>(
        qkv_scale(first_channel(pair) + offset), qkv_scale(first_channel(pair + 1u) + offset),
        qkv_scale(first_channel(pair + 2u) + offset), qkv_scale(first_channel(pair + 3u) + offset),
    );
}

// Applies RoPE to a pair of channels of a position and stores it.
fn store_pair(slot: u32, row: u32, pair: u32, a: f32, b: f32) {
    let half = half_head();
    let width = D / HEADS;
    let head = pair / half;
    let i = pair % half;
    if row >= L || head >= 3u * HEADS {
        return;
    }
    var rotated = vec2<f32>(a, b);
    if ROPE == 1u && head < 2u * HEADS {
        let rotation = rope[row * half + i];
        rotated = vec2<f32>(a * rotation.x - b * rotation.y, b * rotation.x + a * rotation.y);
    }
    let at = (slot * L + row) * 3u * D + head * width + i;
    out[at] = rotated.x;
    if i + half < width { out[at + half] = rotated.y; }
}

fn store_pairs4(slot: u32, row: u32, pair: u32, a: vec4<f32>, b: vec4<f32>) {
    store_pair(slot, row, pair, a.x, b.x);
    store_pair(slot, row, pair + 1u, a.y, b.y);
    store_pair(slot, row, pair + 2u, a.z, b.z);
    store_pair(slot, row, pair + 3u, a.w, b.w);
}
