// token_mix_direct_gate: the first of the three dispatches of token_mix without workgroup memory, of one source.
// gated = silu(gate source) * (up source), across the positions, for each channel.
// An invocation computes 8 inner units of 4 channels; those of a workgroup have the same units.
// Grid: D / 4 / WG, T / 8, live slots.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // hidden size
override T: u32 = 512u;        // inner units
override FORMAT: u32 = 0u;     // of the weights: 0 f32, 1 f16, 2 bf16, 3 int8
override WG: u32 = 64u;        // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;               // [live slots]
@group(0) @binding(1) var<storage, read> gate_up: array<vec4<u32>>;      // [L, 2, T]
@group(0) @binding(2) var<storage, read> source: array<vec4<f32>>;       // [B, L, D]
@group(0) @binding(3) var<storage, read_write> gated: array<vec4<f32>>;  // [B, T, D], T padded to a multiple of 8, D of 16

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

fn element(i: u32) -> f32 {
    return source[i / 4u][i % 4u];
}

// Channels channel .. channel + 3 of a position, zero beyond the last.
fn input(slot: u32, row: u32, channel: u32) -> vec4<f32> {
    let i = (slot * L + row) * D + channel;
    if D % 4u == 0u && channel < D {
        return source[i / 4u];
    }
    var v = vec4<f32>();
    if channel < D { v.x = element(i); }
    if channel + 1u < D { v.y = element(i + 1u); }
    if channel + 2u < D { v.z = element(i + 2u); }
    if channel + 3u < D { v.w = element(i + 3u); }
    return v;
}

fn weights(i: u32) -> vec4<f32> {
    return quad(gate_up[place(i)], i);
}

fn product(gate: vec4<f32>, up: vec4<f32>) -> vec4<f32> {
    // The bound keeps exp finite; silu is 0 there.
    return gate / (1.0 + exp(-max(gate, vec4<f32>(-80.0)))) * up;
}

@compute @workgroup_size(WG)
fn token_mix_direct_gate(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let channels = group.x * WG + id;
    let width = quads(D);
    if channels >= width {
        return;
    }
    let slot = live[group.z];
    let stride = quads(T);
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
        let s = input(slot, l, channels * 4u);
        let at = l * 2u * stride + units;
        let g = weights(at);
        let h = weights(at + 1u);
        let u = weights(at + stride);
        let v = weights(at + stride + 1u);
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
    gated[to] = product(g0 * g.x, u0 * u.x);
    gated[to + width] = product(g1 * g.y, u1 * u.y);
    gated[to + 2u * width] = product(g2 * g.z, u2 * u.z);
    gated[to + 3u * width] = product(g3 * g.w, u3 * u.w);
    gated[to + 4u * width] = product(g4 * h.x, u4 * v.x);
    gated[to + 5u * width] = product(g5 * h.y, u5 * v.y);
    gated[to + 6u * width] = product(g6 * h.z, u6 * v.z);
    gated[to + 7u * width] = product(g7 * h.w, u7 * v.w);
}
