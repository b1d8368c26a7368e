// swiglu: out = silu(gate input) * (up input).
// A workgroup computes 32 positions by 32 inner units, an invocation 4 by 4 of them, gate and up both, so that the product of the
// two is its own. Grid: I / 32, L / 32, live slots.

override L: u32 = 97u;   // positions
override D: u32 = 512u;  // hidden size
override I: u32 = 1536u; // inner units
override FORMAT: u32 = 0u;     // of the weights: 0 f32, 1 f16, 2 bf16, 3 int8

@group(0) @binding(0) var<storage, read> live: array<u32>;           // [live slots]
@group(0) @binding(1) var<storage, read> gate_up: array<vec4<u32>>;  // [D, 2, I]
@group(0) @binding(2) var<storage, read> source: array<f32>;         // [B, L, D]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;      // [B, L, I]

const K: u32 = 16u;  // channels of a tile
var<workgroup> tile: array<vec4<f32>, 128>;  // input, [K, 8, 4 positions]
var<workgroup> gates: array<vec4<f32>, 128>; // [K, 8, 4 units]
var<workgroup> ups: array<vec4<f32>, 128>;   // [K, 8, 4 units]

// Quads of a row of n weights: rows are padded with zeros to a multiple of 16.
fn quads(n: u32) -> u32 {
    return (n + 15u) / 16u * 4u;
}

// The vector in which quad i of the weights lies: one holds a quad of f32, two of f16 or bf16, four of int8.
fn place(i: u32) -> u32 {
    return i >> ((FORMAT + 1u) / 2u);
}

// Quad i of the weights, from the vector in which it lies.
fn quad(v: vec4<u32>, i: u32) -> vec4<f32> {
    if FORMAT == 0u {
        return bitcast<vec4<f32>>(v);
    }
    if FORMAT == 3u {
        return vec4<f32>(unpack4xI8(v[i % 4u]));
    }
    let two = select(v.xy, v.zw, i % 2u == 1u);
    if FORMAT == 1u {
        return vec4<f32>(unpack2x16float(two.x), unpack2x16float(two.y));
    }
    return bitcast<vec4<f32>>(vec4<u32>(two.x << 16u, two.x & 0xffff0000u, two.y << 16u, two.y & 0xffff0000u));
}

// What a quad of outputs is multiplied by in the end: with int8 the scales of its rows, a vector behind the weights.
fn scales(v: vec4<u32>) -> vec4<f32> {
    if FORMAT == 3u {
        return bitcast<vec4<f32>>(v);
    }
    return vec4<f32>(1.0);
}

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
    let stride = quads(I);
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
                let at = channel * 2u * stride + unit;
                gate = quad(gate_up[place(at)], at);
                up = quad(gate_up[place(at + stride)], at + stride);
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
    store(slot, row, unit, g0 * g, u0 * u);
    store(slot, row + 1u, unit, g1 * g, u1 * u);
    store(slot, row + 2u, unit, g2 * g, u2 * u);
    store(slot, row + 3u, unit, g3 * g, u3 * u);
}
