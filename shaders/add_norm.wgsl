// add_norm: out = norm(sum of the parts + sum of the residuals), along the channels.
//
// The dispatch after project_split. A workgroup computes a row. Grid: 1, L, live slots.
// Uses shared/math.wgsl, shared/residuals.wgsl.

override L: u32 = 97u;       // positions
override D: u32 = 512u;      // hidden size
override PARTS: u32 = 4u;    // parts of K, as of project_split
override SOURCES: u32 = 1u;  // residuals, 1 to 4
override EPS: f32 = 1e-5;
override WG: u32 = 128u;     // invocations, a power of two

@group(0) @binding(0) var<storage, read> live: array<u32>;         // [live slots]
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>;  // [B, PARTS, L, padded D]
@group(0) @binding(2) var<storage, read> residual0: array<f32>;    // [B, L, D]
@group(0) @binding(3) var<storage, read> residual1: array<f32>;    // [B, L, D], if SOURCES > 1
@group(0) @binding(4) var<storage, read> residual2: array<f32>;    // [B, L, D], if SOURCES > 2
@group(0) @binding(5) var<storage, read> residual3: array<f32>;    // [B, L, D], if SOURCES > 3
@group(0) @binding(6) var<storage, read_write> out: array<f32>;    // [B, L, D]

var<workgroup> squares: array<f32, WG>;  // an invocation's part of the row's sum of squares

@compute @workgroup_size(WG)
fn add_norm(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let slot = live[group.z];
    let row = group.y;
    var square = 0.0;
    for (var column = id * 4u; column < D; column += WG * 4u) {
        var v = vec4<f32>();
        for (var part = 0u; part < PARTS; part++) {
            v += parts[((slot * PARTS + part) * L + row) * padded_vec4s(D) + column / 4u];
        }
        let i = (slot * L + row) * D + column;
        v.x += sum_residuals(i);
        out[i] = v.x;
        if column + 1u < D { v.y += sum_residuals(i + 1u); out[i + 1u] = v.y; }
        if column + 2u < D { v.z += sum_residuals(i + 2u); out[i + 2u] = v.z; }
        if column + 3u < D { v.w += sum_residuals(i + 3u); out[i + 3u] = v.w; }
        square += dot(v, v);
    }
    squares[id] = square;
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        if id < half {
            squares[id] += squares[id + half];
        }
        workgroupBarrier();
    }
    let factor = norm_factor(vec4<f32>(squares[0] / f32(D)), EPS).x;
    // Each invocation reads only the columns that it has stored itself.
    for (var column = id * 4u; column < D; column += WG * 4u) {
        let i = (slot * L + row) * D + column;
        out[i] *= factor;
        if column + 1u < D { out[i + 1u] *= factor; }
        if column + 2u < D { out[i + 2u] *= factor; }
        if column + 3u < D { out[i + 3u] *= factor; }
    }
}
