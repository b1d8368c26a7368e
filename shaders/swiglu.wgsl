// swiglu: out = silu(gate input) * (up input).
// A workgroup computes 32 positions by 32 inner units, an invocation 4 by 4 of them, gate and up both, so that the product of the
// two is its own. Grid: I / 32, L / 32, live slots.

override L: u32 = 97u;   // positions
override D: u32 = 512u;  // hidden size
override I: u32 = 1536u; // inner units

@group(0) @binding(0) var<storage, read> live: array<u32>;           // [live slots]
@group(0) @binding(1) var<storage, read> gate_up: array<vec4<f32>>;  // [D, 2, I], rows padded to a multiple of 4
@group(0) @binding(2) var<storage, read> source: array<f32>;         // [B, L, D]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;      // [B, L, I]

const K: u32 = 16u;  // channels of a tile
var<workgroup> tile: array<vec4<f32>, 128>;  // input, [K, 8, 4 positions]
var<workgroup> gates: array<vec4<f32>, 128>; // [K, 8, 4 units]
var<workgroup> ups: array<vec4<f32>, 128>;   // [K, 8, 4 units]

fn input(slot: u32, row: u32, k: u32) -> f32 {
    if row < L && k < D {
        return source[(slot * L + row) * D + k];
    }
    return 0.0;
}

fn store(slot: u32, row: u32, unit: u32, gate: vec4<f32>, up: vec4<f32>) {
    if row >= L || unit >= I {
        return;
    }
    // The bound keeps exp finite; silu is 0 there.
    let v = gate / (1.0 + exp(-max(gate, vec4<f32>(-80.0)))) * up;
    let i = (slot * L + row) * I + unit;
    out[i] = v.x;
    if unit + 1u < I { out[i + 1u] = v.y; }
    if unit + 2u < I { out[i + 2u] = v.z; }
    if unit + 3u < I { out[i + 3u] = v.w; }
}

@compute @workgroup_size(8, 8)
fn swiglu(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let slot = live[group.z];
    let stride = (I + 3u) / 4u;
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
                input(slot, row, k), input(slot, row + 1u, k), input(slot, row + 2u, k), input(slot, row + 3u, k),
            );
            let unit = group.x * 8u + i % 8u;
            let channel = first + i / 8u;
            var gate = vec4<f32>();
            var up = vec4<f32>();
            if unit < stride && channel < D {
                gate = gate_up[channel * 2u * stride + unit];
                up = gate_up[channel * 2u * stride + stride + unit];
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
    store(slot, row, unit, g0, u0);
    store(slot, row + 1u, unit, g1, u1);
    store(slot, row + 2u, unit, g2, u2);
    store(slot, row + 3u, unit, g3, u3);
}
