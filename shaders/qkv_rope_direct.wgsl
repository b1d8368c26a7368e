// qkv_rope_direct: qkv_rope without workgroup memory and with one source.
//
// out = source qkv^T, with RoPE applied to queries and keys. The channels form pairs as in
// qkv_rope. An invocation computes 8 positions by 4 pairs. The invocations of a workgroup have the
// same positions. Grid: pairs / 4 / WG, L / 8, live slots.
// Uses shared/math.wgsl, shared/weights.wgsl, shared/source4.wgsl, shared/channel_pairs.wgsl.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // hidden size
override HEADS: u32 = 8u;      // D / HEADS is the width of a head
override ROPE: u32 = 1u;       // 1: RoPE is applied
override FORMAT: u32 = 0u;     // weight dtype: 0 f32, 1 f16, 2 bf16, 3 int8
override WG: u32 = 64u;        // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;          // [live slots]
@group(0) @binding(1) var<storage, read> qkv: array<vec4<u32>>;     // [D, 3D]
@group(0) @binding(2) var<storage, read> rope: array<vec2<f32>>;    // [L, half a head], cos and sin
@group(0) @binding(3) var<storage, read> source: array<vec4<f32>>;  // [B, L, D]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;     // [B, L, 3D]

@compute @workgroup_size(WG)
fn qkv_rope_direct(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
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
        let x0 = source4(slot, row, k, D);
        let x1 = source4(slot, row + 1u, k, D);
        let x2 = source4(slot, row + 2u, k, D);
        let x3 = source4(slot, row + 3u, k, D);
        let x4 = source4(slot, row + 4u, k, D);
        let x5 = source4(slot, row + 5u, k, D);
        let x6 = source4(slot, row + 6u, k, D);
        let x7 = source4(slot, row + 7u, k, D);
        let first = mat4x4<f32>(
            pair_weights4(k, pair, 0u), pair_weights4(k + 1u, pair, 0u),
            pair_weights4(k + 2u, pair, 0u), pair_weights4(k + 3u, pair, 0u),
        );
        let second = mat4x4<f32>(
            pair_weights4(k, pair, half), pair_weights4(k + 1u, pair, half),
            pair_weights4(k + 2u, pair, half), pair_weights4(k + 3u, pair, half),
        );
        a0 = multiply_add(a0, x0, first);
        a1 = multiply_add(a1, x1, first);
        a2 = multiply_add(a2, x2, first);
        a3 = multiply_add(a3, x3, first);
        a4 = multiply_add(a4, x4, first);
        a5 = multiply_add(a5, x5, first);
        a6 = multiply_add(a6, x6, first);
        a7 = multiply_add(a7, x7, first);
        b0 = multiply_add(b0, x0, second);
        b1 = multiply_add(b1, x1, second);
        b2 = multiply_add(b2, x2, second);
        b3 = multiply_add(b3, x3, second);
        b4 = multiply_add(b4, x4, second);
        b5 = multiply_add(b5, x5, second);
        b6 = multiply_add(b6, x6, second);
        b7 = multiply_add(b7, x7, second);
    }
    let a = pair_scales4(pair, 0u);
    let b = pair_scales4(pair, half);
    store_pairs4(slot, row, pair, a0 * a, b0 * b);
    store_pairs4(slot, row + 1u, pair, a1 * a, b1 * b);
    store_pairs4(slot, row + 2u, pair, a2 * a, b2 * b);
    store_pairs4(slot, row + 3u, pair, a3 * a, b3 * b);
    store_pairs4(slot, row + 4u, pair, a4 * a, b4 * b);
    store_pairs4(slot, row + 5u, pair, a5 * a, b5 * b);
    store_pairs4(slot, row + 6u, pair, a6 * a, b6 * b);
    store_pairs4(slot, row + 7u, pair, a7 * a, b7 * b);
}
