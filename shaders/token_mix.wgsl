// token_mix: s = sum of its sources; out = norm(s + down (silu(gate s) * (up s))), across the positions, for each channel.
// A workgroup owns 4 channels of a slot, so the norm along the positions is its own: gate and up with an invocation for each
// inner unit, down with one for each position. Grid: D / 4, 1, live slots.

override L: u32 = 97u;        // positions
override D: u32 = 512u;       // hidden size
override T: u32 = 512u;       // inner units
override SOURCES: u32 = 3u;   // 1 to 4
override EPS: f32 = 1e-5;
override WG: u32 = 128u;      // invocations, a power of two
override ROWS: u32 = 97u;     // L: s is kept in workgroup memory; less: it is summed anew wherever it is read
override CHUNK: u32 = 512u;   // inner units that are computed before they are multiplied with down

@group(0) @binding(0) var<storage, read> live: array<u32>;       // [live slots]
@group(0) @binding(1) var<storage, read> gate_up: array<f32>;    // [L, 2T], the checkpoint's transposed
@group(0) @binding(2) var<storage, read> down: array<f32>;       // [T, L], the checkpoint's transposed
@group(0) @binding(3) var<storage, read> source0: array<f32>;    // [B, L, D]
@group(0) @binding(4) var<storage, read> source1: array<f32>;    // [B, L, D], read if SOURCES > 1
@group(0) @binding(5) var<storage, read> source2: array<f32>;    // [B, L, D], read if SOURCES > 2
@group(0) @binding(6) var<storage, read> source3: array<f32>;    // [B, L, D], read if SOURCES > 3
@group(0) @binding(7) var<storage, read_write> out: array<f32>;  // [B, L, D]

var<workgroup> rows: array<vec4<f32>, ROWS>;    // s, [L, 4]
var<workgroup> gated: array<vec4<f32>, CHUNK>;  // silu(gate s) * (up s), [CHUNK, 4]
var<workgroup> squares: array<vec4<f32>, WG>;   // each invocation's share of the sum of squares, [WG, 4]

fn element(i: u32) -> f32 {
    var sum = source0[i];
    if SOURCES > 1u { sum += source1[i]; }
    if SOURCES > 2u { sum += source2[i]; }
    if SOURCES > 3u { sum += source3[i]; }
    return sum;
}

// The 4 channels from element i on, zero beyond the last; `left` channels are left in the row.
fn summed(i: u32, left: u32) -> vec4<f32> {
    var s = vec4<f32>(element(i), 0.0, 0.0, 0.0);
    if left > 1u { s.y = element(i + 1u); }
    if left > 2u { s.z = element(i + 2u); }
    if left > 3u { s.w = element(i + 3u); }
    return s;
}

fn stored(i: u32, left: u32) -> vec4<f32> {
    var v = vec4<f32>(out[i], 0.0, 0.0, 0.0);
    if left > 1u { v.y = out[i + 1u]; }
    if left > 2u { v.z = out[i + 2u]; }
    if left > 3u { v.w = out[i + 3u]; }
    return v;
}

fn store(i: u32, left: u32, v: vec4<f32>) {
    out[i] = v.x;
    if left > 1u { out[i + 1u] = v.y; }
    if left > 2u { out[i + 2u] = v.z; }
    if left > 3u { out[i + 3u] = v.w; }
}

@compute @workgroup_size(WG)
fn token_mix(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let slot = live[group.z];
    let left = D - group.x * 4u;
    let base = slot * L * D + group.x * 4u;
    if ROWS >= L {
        for (var l = id; l < L; l += WG) {
            rows[l] = summed(base + l * D, left);
        }
    }
    workgroupBarrier();
    for (var first = 0u; first < T; first += CHUNK) {
        let units = min(CHUNK, T - first);
        for (var unit = id; unit < units; unit += WG) {
            var gate = vec4<f32>();
            var up = vec4<f32>();
            for (var l = 0u; l < L; l++) {
                var s: vec4<f32>;
                if ROWS >= L { s = rows[l]; } else { s = summed(base + l * D, left); }
                gate += gate_up[l * 2u * T + first + unit] * s;
                up += gate_up[l * 2u * T + T + first + unit] * s;
            }
            // The bound keeps exp finite; silu is 0 there.
            gated[unit] = gate / (1.0 + exp(-max(gate, vec4<f32>(-80.0)))) * up;
        }
        workgroupBarrier();
        // A position belongs to one invocation, which finds here what it has stored.
        for (var l = id; l < L; l += WG) {
            let i = base + l * D;
            var sum: vec4<f32>;
            if first > 0u {
                sum = stored(i, left);
            } else if ROWS >= L {
                sum = rows[l];
            } else {
                sum = summed(i, left);
            }
            for (var unit = 0u; unit < units; unit++) {
                sum += down[(first + unit) * L + l] * gated[unit];
            }
            store(i, left, sum);
        }
        workgroupBarrier();
    }
    var square = vec4<f32>();
    for (var l = id; l < L; l += WG) {
        let v = stored(base + l * D, left);
        square += v * v;
    }
    squares[id] = square;
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        if id < half {
            squares[id] += squares[id + half];
        }
        workgroupBarrier();
    }
    let scale = inverseSqrt(squares[0] / f32(L) + EPS);
    for (var l = id; l < L; l += WG) {
        let i = base + l * D;
        store(i, left, stored(i, left) * scale);
    }
}
