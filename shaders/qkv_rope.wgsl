// qkv_rope: s = sum of the sources; out = s qkv^T, with RoPE applied to queries and keys.
//
// The channels of the 3 HEADS heads of queries, keys and values form pairs (i, i + half a head),
// which RoPE rotates together. A workgroup computes 32 positions by 32 pairs, an invocation 4 by 4
// of them. Grid: pairs / 32, L / 32, live slots.
// Uses shared/math.wgsl, shared/weights.wgsl, shared/sources.wgsl, shared/channel_pairs.wgsl.

override L: u32 = 97u;       // positions
override D: u32 = 512u;      // hidden size
override HEADS: u32 = 8u;    // D / HEADS is the width of a head
override SOURCES: u32 = 3u;  // 1 to 4
override ROPE: u32 = 1u;     // 1: RoPE is applied
override FORMAT: u32 = 0u;   // weight dtype: 0 f32, 1 f16, 2 bf16, 3 int8

@group(0) @binding(0) var<storage, read> live: array<u32>;        // [live slots]
@group(0) @binding(1) var<storage, read> qkv: array<vec4<u32>>;   // [D, 3D]
@group(0) @binding(2) var<storage, read> rope: array<vec2<f32>>;  // [L, half a head], cos and sin
@group(0) @binding(3) var<storage, read> source0: array<f32>;     // [B, L, D]
@group(0) @binding(4) var<storage, read> source1: array<f32>;     // [B, L, D], if SOURCES > 1
@group(0) @binding(5) var<storage, read> source2: array<f32>;     // [B, L, D], if SOURCES > 2
@group(0) @binding(6) var<storage, read> source3: array<f32>;     // [B, L, D], if SOURCES > 3
@group(0) @binding(7) var<storage, read_write> out: array<f32>;   // [B, L, 3D]

const K: u32 = 16u;  // channels per tile
var<workgroup> tile: array<vec4<f32>, 128>;            // s, [K, 8, 4 positions]
var<workgroup> first_weights: array<vec4<f32>, 128>;   // of the first channels, [K, 8, 4 pairs]
var<workgroup> second_weights: array<vec4<f32>, 128>;  // of the second channels, [K, 8, 4 pairs]

// Returns s at a position and a channel, zero outside.
fn s(slot: u32, row: u32, k: u32) -> f32 {
    if row >= L || k >= D {
        return 0.0;
    }
    return sum_sources((slot * L + row) * D + k);
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
            tile[i % K * 8u + i / K] = vec4<f32>(
                s(slot, row, k), s(slot, row + 1u, k), s(slot, row + 2u, k), s(slot, row + 3u, k),
            );
            let pair = group.x * 32u + i % 8u * 4u;
            let channel = first + i / 8u;
            var a = vec4<f32>();
            var b = vec4<f32>();
            if channel < D {
                a = pair_weights4(channel, pair, 0u);
                b = pair_weights4(channel, pair, half);
            }
            first_weights[i] = a;
            second_weights[i] = b;
        }
        workgroupBarrier();
        for (var k = 0u; k < K; k++) {
            let x = tile[k * 8u + local.y];
            let a = first_weights[k * 8u + local.x];
            let b = second_weights[k * 8u + local.x];
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
    let a = pair_scales4(pair, 0u);
    let b = pair_scales4(pair, half);
    store_pairs4(slot, row, pair, a0 * a, b0 * b);
    store_pairs4(slot, row + 1u, pair, a1 * a, b1 * b);
    store_pairs4(slot, row + 2u, pair, a2 * a, b2 * b);
    store_pairs4(slot, row + 3u, pair, a3 * a, b3 * b);
}
