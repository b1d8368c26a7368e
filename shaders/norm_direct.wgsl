// norm_direct: out = sums / root of the mean square, along the channels or along the positions. The dispatch after project_direct
// and token_mix_direct_down, which leave each row's squares in shares. An invocation computes a row's 4 channels.
// Grid: D / 4 / 32, L / 2, live slots.

override L: u32 = 97u;       // positions
override D: u32 = 512u;      // hidden size
override ALONG: u32 = 0u;    // 0: the channels, squares are [L, D / 4]; 1: the positions, squares are [L / 8, D]
override EPS: f32 = 1e-5;

@group(0) @binding(0) var<storage, read> live: array<u32>;        // [live slots]
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;  // a slot: [L, D], then the squares
@group(0) @binding(2) var<storage, read_write> out: array<f32>;   // [B, L, D]

// Quads of a row of n weights: rows are padded with zeros to a multiple of 16.
fn quads(n: u32) -> u32 {
    return (n + 15u) / 16u * 4u;
}

@compute @workgroup_size(32, 2)
fn norm_direct(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let channel = id.x * 4u;
    if row >= L || channel >= D {
        return;
    }
    let slot = live[id.z];
    let stride = quads(D);
    var factor: vec4<f32>;
    var start: u32;
    if ALONG == 0u {
        start = slot * L * (stride + stride / 4u);
        let shares = start + L * stride + row * (stride / 4u);
        var square = vec4<f32>();
        for (var i = 0u; i < stride / 4u; i++) {
            square += sums[shares + i];
        }
        factor = vec4<f32>(inverseSqrt(dot(square, vec4<f32>(1.0)) / f32(D) + EPS));
    } else {
        let tiles = (L + 7u) / 8u;
        start = slot * (L + tiles) * stride;
        let shares = start + L * stride + id.x;
        var square = vec4<f32>();
        for (var i = 0u; i < tiles; i++) {
            square += sums[shares + i * stride];
        }
        factor = inverseSqrt(square / f32(L) + EPS);
    }
    let v = sums[start + row * stride + id.x] * factor;
    let i = (slot * L + row) * D + channel;
    out[i] = v.x;
    if channel + 1u < D { out[i + 1u] = v.y; }
    if channel + 2u < D { out[i + 2u] = v.z; }
    if channel + 3u < D { out[i + 3u] = v.w; }
}
