// token_mix_direct_down: the second of three dispatches of token_mix without workgroup memory.
//
// sums = source + down gated, along the positions of each channel; norm_direct normalises them. An
// invocation computes 8 positions of 4 channels, and their part of the sums of squares. The
// invocations of a workgroup have the same positions. Grid: D / 4 / WG, L / 8, live slots.
// Uses shared/math.wgsl, shared/weights.wgsl, shared/source4.wgsl.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // hidden size
override T: u32 = 512u;        // inner units
override FORMAT: u32 = 0u;     // weight dtype: 0 f32, 1 f16, 2 bf16, 3 int8
override WG: u32 = 64u;        // invocations

@group(0) @binding(0) var<storage, read> live: array<u32>;          // [live slots]
@group(0) @binding(1) var<storage, read> down: array<vec4<u32>>;    // [T, L]
@group(0) @binding(2) var<storage, read> source: array<vec4<f32>>;  // [B, L, D]
@group(0) @binding(3) var<storage, read> gated: array<vec4<f32>>;   // [B, padded T, padded D]
// A slot has the sums [L, padded D], then the squares [L / 8, padded D].
@group(0) @binding(4) var<storage, read_write> sums: array<vec4<f32>>;

fn down4(i: u32) -> vec4<f32> {
    return unpack4(down[vector_of(i)], i);
}

// Adds the source to 4 channels of a position, stores them and returns their squares.
fn store(slot: u32, row: u32, channels: u32, mixed: vec4<f32>) -> vec4<f32> {
    if row >= L {
        return vec4<f32>();
    }
    let v = mixed + channels4(slot, row, channels * 4u);
    sums[(slot * (L + (L + 7u) / 8u) + row) * padded_vec4s(D) + channels] = v;
    return v * v;
}

@compute @workgroup_size(WG)
fn token_mix_direct_down(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let channels = group.x * WG + id;
    let width = padded_vec4s(D);
    if channels >= width {
        return;
    }
    let slot = live[group.z];
    let stride = padded_vec4s(L);
    let positions = group.y * 2u;
    let row = group.y * 8u;
    let start = slot * ((T + 7u) / 8u * 8u) * width + channels;
    var p0 = vec4<f32>();
    var p1 = vec4<f32>();
    var p2 = vec4<f32>();
    var p3 = vec4<f32>();
    var p4 = vec4<f32>();
    var p5 = vec4<f32>();
    var p6 = vec4<f32>();
    var p7 = vec4<f32>();
    for (var unit = 0u; unit < T; unit++) {
        let x = gated[start + unit * width];
        let at = unit * stride + positions;
        let w = down4(at);
        let v = down4(at + 1u);
        p0 += w.x * x;
        p1 += w.y * x;
        p2 += w.z * x;
        p3 += w.w * x;
        p4 += v.x * x;
        p5 += v.y * x;
        p6 += v.z * x;
        p7 += v.w * x;
    }
    let end = (T + 3u) / 4u * stride;
    let w = scales(down[end + positions]);
    let v = scales(down[end + positions + 1u]);
    var square = store(slot, row, channels, p0 * w.x);
    square += store(slot, row + 1u, channels, p1 * w.y);
    square += store(slot, row + 2u, channels, p2 * w.z);
    square += store(slot, row + 3u, channels, p3 * w.w);
    square += store(slot, row + 4u, channels, p4 * v.x);
    square += store(slot, row + 5u, channels, p5 * v.y);
    square += store(slot, row + 6u, channels, p6 * v.z);
    square += store(slot, row + 7u, channels, p7 * v.w);
    sums[(slot * (L + (L + 7u) / 8u) + L + group.y) * width + channels] = square;
}
