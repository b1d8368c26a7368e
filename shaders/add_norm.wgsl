// add_norm: out = norm(sum of the parts + sum of the residuals) along the channels. The dispatch after project_split.
// A workgroup owns a row. Grid: 1, L, live slots.

override L: u32 = 97u;       // positions
override D: u32 = 512u;      // hidden size
override PARTS: u32 = 4u;    // of project_split
override SOURCES: u32 = 1u;  // residuals, 1 to 4
override EPS: f32 = 1e-5;
override WG: u32 = 128u;     // invocations, a power of two

@group(0) @binding(0) var<storage, read> live: array<u32>;         // [live slots]
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>;  // [B, PARTS, L, D], D padded to a multiple of 16
@group(0) @binding(2) var<storage, read> residual0: array<f32>;    // [B, L, D]
@group(0) @binding(3) var<storage, read> residual1: array<f32>;    // [B, L, D], read if SOURCES > 1
@group(0) @binding(4) var<storage, read> residual2: array<f32>;    // [B, L, D], read if SOURCES > 2
@group(0) @binding(5) var<storage, read> residual3: array<f32>;    // [B, L, D], read if SOURCES > 3
@group(0) @binding(6) var<storage, read_write> out: array<f32>;    // [B, L, D]

var<workgroup> squares: array<f32, WG>;  // each invocation's share of the row's sum of squares

// Quads of a row of n weights: rows are padded with zeros to a multiple of 16.
fn quads(n: u32) -> u32 {
    return (n + 15u) / 16u * 4u;
}

fn residual(i: u32) -> f32 {
    var sum = residual0[i];
    if SOURCES > 1u { sum += residual1[i]; }
    if SOURCES > 2u { sum += residual2[i]; }
    if SOURCES > 3u { sum += residual3[i]; }
    return sum;
}

@compute @workgroup_size(WG)
fn add_norm(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let slot = live[group.z];
    let row = group.y;
    var square = 0.0;
    for (var column = id * 4u; column < D; column += WG * 4u) {
        var v = vec4<f32>();
        for (var part = 0u; part < PARTS; part++) {
            v += parts[((slot * PARTS + part) * L + row) * quads(D) + column / 4u];
        }
        let i = (slot * L + row) * D + column;
        v.x += residual(i);
        out[i] = v.x;
        if column + 1u < D { v.y += residual(i + 1u); out[i + 1u] = v.y; }
        if column + 2u < D { v.z += residual(i + 2u); out[i + 2u] = v.z; }
        if column + 3u < D { v.w += residual(i + 3u); out[i + 3u] = v.w; }
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
    let factor = inverseSqrt(squares[0] / f32(D) + EPS);
    // A column belongs to one invocation, which finds here what it has stored.
    for (var column = id * 4u; column < D; column += WG * 4u) {
        let i = (slot * L + row) * D + column;
        out[i] *= factor;
        if column + 1u < D { out[i + 1u] *= factor; }
        if column + 2u < D { out[i + 2u] *= factor; }
        if column + 3u < D { out[i + 3u] *= factor; }
    }
}
