// swiglu: out = silu(gate input) * (up input).
//
// A workgroup computes 32 positions by 32 inner units. An invocation computes 4 by 4 of them, gate
// and up both, so that it can multiply them itself. Grid: I / 32, L / 32, live slots.
// Uses shared/math.wgsl, shared/weights.wgsl, shared/gate_up.wgsl, shared/store4.wgsl,
// shared/store_gated.wgsl.

override L: u32 = 97u;      // positions
override D: u32 = 512u;     // hidden size
override I: u32 = 1536u;    // inner units
override FORMAT: u32 = 0u;  // weight dtype: 0 f32, 1 f16, 2 bf16, 3 int8

@group(0) @binding(0) var<storage, read> live: array<u32>;           // [live slots]
@group(0) @binding(1) var<storage, read> gate_up: array<vec4<u32>>;  // [D, 2, I]
@group(0) @binding(2) var<storage, read> source: array<f32>;         // [B, L, D]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;      // [B, L, I]

const K: u32 = 16u;  // channels per tile
var<workgroup> tile: array<vec4<f32>, 128>;   // input, [K, 8, 4 positions]
var<workgroup> gates: array<vec4<f32>, 128>;  // [K, 8, 4 units]
var<workgroup> ups: array<vec4<f32>, 128>;    // [K, 8, 4 units]

fn input(slot: u32, row: u32, k: u32) -> f32 {
    if row < L && k < D {
        return source[(slot * L + row) * D + k];
    }
    return 0.0;
}

@compute @workgroup_size(8, 8)
fn swiglu(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let slot = live[group.z];
    let stride = padded_vec4s(I);
    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    var g2 = vec4<f32>();
    var g3 = vec4<f32>();
    var u0 = vec4<f32>();
    var u1 = vec4<f32>();
    var u2 = vec4<f32>();
    var u3 = vec4<f32>();
    for (var first = 0u; first < D; first += K) {
        for (var i = id; i < 128u; i += 64u) {
            let row = group.y * 32u + i / K * 4u;
            let k = first + i % K;
            tile[i % K * 8u + i / K] = vec4<f32>(
                input(slot, row, k), input(slot, row + 1u, k),
                input(slot, row + 2u, k), input(slot, row + 3u, k),
            );
            let unit = group.x * 8u + i % 8u;
            let channel = first + i / 8u;
            var gate = vec4<f32>();
            var up = vec4<f32>();
            if unit < stride && channel < D {
                let at = channel * 2u * stride + unit;
                gate = gate_up4(at);
                up = gate_up4(at + stride);
            }
            gates[i] = gate;
            ups[i] = up;
        }
        workgroupBarrier();
        for (var k = 0u; k < K; k++) {
            let x = tile[k * 8u + local.y];
            let gate = gates[k * 8u + local.x];
            let up = ups[k * 8u + local.x];
            g0 += x.x * gate;
            g1 += x.y * gate;
            g2 += x.z * gate;
            g3 += x.w * gate;
            u0 += x.x * up;
            u1 += x.y * up;
            u2 += x.z * up;
            u3 += x.w * up;
        }
        workgroupBarrier();
    }
    let row = group.y * 32u + local.y * 4u;
    let unit = group.x * 32u + local.x * 4u;
    let end = (D + 3u) / 4u * 2u * stride;
    let g = scales(gate_up[end + unit / 4u]);
    let u = scales(gate_up[end + stride + unit / 4u]);
    store_gated(slot, row, unit, g0 * g, u0 * u);
    store_gated(slot, row + 1u, unit, g1 * g, u1 * u);
    store_gated(slot, row + 2u, unit, g2 * g, u2 * u);
    store_gated(slot, row + 3u, unit, g3 * g, u3 * u);
}
