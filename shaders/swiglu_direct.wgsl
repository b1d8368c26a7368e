// swiglu_direct: swiglu without workgroup memory. out = silu(gate input) * (up input).
//
// An invocation computes 8 positions by 4 inner units, gate and up both. The invocations of a
// workgroup have the same positions. Grid: I / 4 / WG, L / 8, live slots.
// Uses shared/math.wgsl, shared/weights.wgsl, shared/gate_up.wgsl, shared/source4.wgsl,
// shared/store4.wgsl, shared/store_gated.wgsl.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // hidden size
override I: u32 = 1536u;       // inner units
override FORMAT: u32 = 0u;     // weight dtype: 0 f32, 1 f16, 2 bf16, 3 int8
override WG: u32 = 64u;        // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;           // [live slots]
@group(0) @binding(1) var<storage, read> gate_up: array<vec4<u32>>;  // [D, 2, I]
@group(0) @binding(2) var<storage, read> source: array<vec4<f32>>;   // [B, L, D]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;      // [B, L, I]

@compute @workgroup_size(WG)
fn swiglu_direct(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let stride = padded_vec4s(I);
    let units = group.x * WG + id;
    if units >= stride {
        return;
    }
    let slot = live[group.z];
    let row = group.y * 8u;
    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    var g2 = vec4<f32>();
    var g3 = vec4<f32>();
    var g4 = vec4<f32>();
    var g5 = vec4<f32>();
    var g6 = vec4<f32>();
    var g7 = vec4<f32>();
    var u0 = vec4<f32>();
    var u1 = vec4<f32>();
    var u2 = vec4<f32>();
    var u3 = vec4<f32>();
    var u4 = vec4<f32>();
    var u5 = vec4<f32>();
    var u6 = vec4<f32>();
    var u7 = vec4<f32>();
    for (var k = 0u; k < D; k += 4u) {
        let x0 = source4(slot, row, k, D);
        let x1 = source4(slot, row + 1u, k, D);
        let x2 = source4(slot, row + 2u, k, D);
        let x3 = source4(slot, row + 3u, k, D);
        let x4 = source4(slot, row + 4u, k, D);
        let x5 = source4(slot, row + 5u, k, D);
        let x6 = source4(slot, row + 6u, k, D);
        let x7 = source4(slot, row + 7u, k, D);
        let at = k * 2u * stride + units;
        let gate = mat4x4<f32>(
            gate_up4(at), gate_up4(at + 2u * stride),
            gate_up4(at + 4u * stride), gate_up4(at + 6u * stride),
        );
        let up = mat4x4<f32>(
            gate_up4(at + stride), gate_up4(at + 3u * stride),
            gate_up4(at + 5u * stride), gate_up4(at + 7u * stride),
        );
        g0 = multiply_add(g0, x0, gate);
        g1 = multiply_add(g1, x1, gate);
        g2 = multiply_add(g2, x2, gate);
        g3 = multiply_add(g3, x3, gate);
        g4 = multiply_add(g4, x4, gate);
        g5 = multiply_add(g5, x5, gate);
        g6 = multiply_add(g6, x6, gate);
        g7 = multiply_add(g7, x7, gate);
        u0 = multiply_add(u0, x0, up);
        u1 = multiply_add(u1, x1, up);
        u2 = multiply_add(u2, x2, up);
        u3 = multiply_add(u3, x3, up);
        u4 = multiply_add(u4, x4, up);
        u5 = multiply_add(u5, x5, up);
        u6 = multiply_add(u6, x6, up);
        u7 = multiply_add(u7, x7, up);
    }
    let end = (D + 3u) / 4u * 2u * stride;
    let g = scales(gate_up[end + units]);
    let u = scales(gate_up[end + stride + units]);
    let unit = units * 4u;
    store_gated(slot, row, unit, g0 * g, u0 * u);
    store_gated(slot, row + 1u, unit, g1 * g, u1 * u);
    store_gated(slot, row + 2u, unit, g2 * g, u2 * u);
    store_gated(slot, row + 3u, unit, g3 * g, u3 * u);
    store_gated(slot, row + 4u, unit, g4 * g, u4 * u);
    store_gated(slot, row + 5u, unit, g5 * g, u5 * u);
    store_gated(slot, row + 6u, unit, g6 * g, u6 * u);
    store_gated(slot, row + 7u, unit, g7 * g, u7 * u);
}
