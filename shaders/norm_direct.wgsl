// norm_direct: out = sums / root of their mean square, along the channels or along the positions.
//
// The dispatch after project_direct and token_mix_direct_down, which store partial sums of squares
// behind the sums. An invocation computes 4 channels of a row. Grid: D / 4 / 32, L / 2, live slots.
// Uses shared/math.wgsl, shared/store4.wgsl.

override L: u32 = 97u;     // positions
override D: u32 = 512u;    // hidden size
override ALONG: u32 = 0u;  // 0: norm along the channels, 1: along the positions
override EPS: f32 = 1e-5;

@group(0) @binding(0) var<storage, read> live: array<u32>;        // [live slots]
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;  // per slot: sums, squares
@group(0) @binding(2) var<storage, read_write> out: array<f32>;   // [B, L, D]

@compute @workgroup_size(32, 2)
fn norm_direct(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let channel = id.x * 4u;
    if row >= L || channel >= D {
        return;
    }
    let slot = live[id.z];
    let stride = padded_vec4s(D);
    var factor: vec4<f32>;
    var start: u32;
    if ALONG == 0u {
        // Squares are [L, D / 4].
        start = slot * L * (stride + stride / 4u);
        let partials = start + L * stride + row * (stride / 4u);
        var square = vec4<f32>();
        for (var i = 0u; i < stride / 4u; i++) {
            square += sums[partials + i];
        }
        factor = norm_factor(vec4<f32>(dot(square, vec4<f32>(1.0)) / f32(D)), EPS);
    } else {
        // Squares are [L / 8, D].
        let tiles = (L + 7u) / 8u;
        start = slot * (L + tiles) * stride;
        let partials = start + L * stride + id.x;
        var square = vec4<f32>();
        for (var i = 0u; i < tiles; i++) {
            square += sums[partials + i * stride];
        }
        factor = norm_factor(square / f32(L), EPS);
    }
    let v = sums[start + row * stride + id.x] * factor;
    store4((slot * L + row) * D + channel, channel, D, v);
}
