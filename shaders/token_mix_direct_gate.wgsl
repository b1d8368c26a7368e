// token_mix_direct_gate: the first of three dispatches of token_mix without workgroup memory.
//
// gated = silu(gate source) * (up source), along the positions of each channel, with one source. An
// invocation computes 8 inner units of 4 channels. The invocations of a workgroup have the same
// units. Grid: D / 4 / WG, T / 8, live slots.
// Uses shared/math.wgsl, shared/weights.wgsl, shared/gate_up.wgsl, shared/source4.wgsl.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // hidden size
override T: u32 = 512u;        // inner units
override FORMAT: u32 = 0u;     // weight dtype: 0 f32, 1 f16, 2 bf16, 3 int8
override WG: u32 = 64u;        // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;               // [live slots]
@group(0) @binding(1) var<storage, read> gate_up: array<vec4<u32>>;      // [L, 2, T]
@group(0) @binding(2) var<storage, read> source: array<vec4<f32>>;       // [B, L, D]
@group(0) @binding(3) var<storage, read_write> gated: array<vec4<f32>>;  // [B, padded T, padded D]

@compute @workgroup_size(WG)
fn token_mix_direct_gate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let channels = group.x * WG + id;
    let width = padded_vec4s(D);
    if channels >= width {
        return;
    }
    let slot = live[group.z];
    let stride = padded_vec4s(T);
    let units = group.y * 2u;
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
    for (var l = 0u; l < L; l++) {
        let s = channels4(slot, l, channels * 4u);
        let at = l * 2u * stride + units;
        let g = gate_up4(at);
        let h = gate_up4(at + 1u);
        let u = gate_up4(at + stride);
        let v = gate_up4(at + stride + 1u);
        g0 += g.x * s;
        g1 += g.y * s;
        g2 += g.z * s;
        g3 += g.w * s;
        g4 += h.x * s;
        g5 += h.y * s;
        g6 += h.z * s;
        g7 += h.w * s;
        u0 += u.x * s;
        u1 += u.y * s;
        u2 += u.z * s;
        u3 += u.w * s;
        u4 += v.x * s;
        u5 += v.y * s;
        u6 += v.z * s;
        u7 += v.w * s;
    }
    let end = (L + 3u) / 4u * 2u * stride;
    let g = scales(gate_up[end + units]);
    let h = scales(gate_up[end + units + 1u]);
    let u = scales(gate_up[end + stride + units]);
    let v = scales(gate_up[end + stride + units + 1u]);
    let to = (slot * ((T + 7u) / 8u) + group.y) * 8u * width + channels;
    gated[to] = silu_mul(g0 * g.x, u0 * u.x);
    gated[to + width] = silu_mul(g1 * g.y, u1 * u.y);
    gated[to + 2u * width] = silu_mul(g2 * g.z, u2 * u.z);
    gated[to + 3u * width] = silu_mul(g3 * g.w, u3 * u.w);
    gated[to + 4u * width] = silu_mul(g4 * h.x, u4 * v.x);
    gated[to + 5u * width] = silu_mul(g5 * h.y, u5 * v.y);
    gated[to + 6u * width] = silu_mul(g6 * h.z, u6 * v.z);
    gated[to + 7u * width] = silu_mul(g7 * h.w, u7 * v.w);
}
