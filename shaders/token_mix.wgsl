// token_mix: out = norm(s + down (silu(gate s) * (up s))), along the positions; s = sum of sources.
//
// A workgroup computes 4 channels of a slot, so that it can normalise them itself. For gate and up
// an invocation computes 4 inner units, for down 4 positions of a channel.
// Grid: D / 4, 1, live slots.
// Uses shared/math.wgsl, shared/weights.wgsl, shared/gate_up.wgsl, shared/sources.wgsl.

override L: u32 = 97u;        // positions
override D: u32 = 512u;       // hidden size
override T: u32 = 512u;       // inner units
override SOURCES: u32 = 3u;   // 1 to 4
override EPS: f32 = 1e-5;
override WG: u32 = 128u;      // invocations, a power of two
override ROWS: u32 = 97u;     // L: workgroup memory holds s; less: each read sums s again
override CHUNK: u32 = 512u;   // inner units computed at a time, a multiple of 4
override FORMAT: u32 = 0u;    // weight dtype: 0 f32, 1 f16, 2 bf16, 3 int8

@group(0) @binding(0) var<storage, read> live: array<u32>;           // [live slots]
@group(0) @binding(1) var<storage, read> gate_up: array<vec4<u32>>;  // [L, 2, T]
@group(0) @binding(2) var<storage, read> down: array<vec4<u32>>;     // [T, L]
@group(0) @binding(3) var<storage, read> source0: array<f32>;        // [B, L, D]
@group(0) @binding(4) var<storage, read> source1: array<f32>;        // [B, L, D], if SOURCES > 1
@group(0) @binding(5) var<storage, read> source2: array<f32>;        // [B, L, D], if SOURCES > 2
@group(0) @binding(6) var<storage, read> source3: array<f32>;        // [B, L, D], if SOURCES > 3
@group(0) @binding(7) var<storage, read_write> out: array<f32>;      // [B, L, D]

var<workgroup> rows: array<vec4<f32>, ROWS>;    // s, [L, 4]
var<workgroup> gated: array<vec4<f32>, CHUNK>;  // silu(gate s) * (up s), [CHUNK, 4]
var<workgroup> squares: array<f32, WG>;         // parts of the sum of squares, [WG / 4, 4]

// Returns s of the 4 channels from element i on, zero beyond the row's end. `left` is the number of
// channels from there to the row's end.
fn s4(i: u32, left: u32) -> vec4<f32> {
    var s = vec4<f32>(sum_sources(i), 0.0, 0.0, 0.0);
    if left > 1u { s.y = sum_sources(i + 1u); }
    if left > 2u { s.z = sum_sources(i + 2u); }
    if left > 3u { s.w = sum_sources(i + 3u); }
    return s;
}

// Returns s of position l. i is the index of its channel at position 0.
fn residual(i: u32, l: u32, channel: u32) -> f32 {
    if ROWS >= L { return rows[l][channel]; }
    return sum_sources(i + l * D);
}

// Returns what a chunk adds to, for 4 positions of a channel: the residual for the first chunk,
// then the sums of the earlier chunks.
fn accumulated(i: u32, l: u32, channel: u32, first: bool) -> vec4<f32> {
    var v: vec4<f32>;
    if first {
        v.x = residual(i, l, channel);
        if l + 1u < L { v.y = residual(i, l + 1u, channel); }
        if l + 2u < L { v.z = residual(i, l + 2u, channel); }
        if l + 3u < L { v.w = residual(i, l + 3u, channel); }
    } else {
        v = load_positions4(i, l);
    }
    return v;
}

fn load_positions4(i: u32, l: u32) -> vec4<f32> {
    var v = vec4<f32>(out[i + l * D], 0.0, 0.0, 0.0);
    if l + 1u < L { v.y = out[i + (l + 1u) * D]; }
    if l + 2u < L { v.z = out[i + (l + 2u) * D]; }
    if l + 3u < L { v.w = out[i + (l + 3u) * D]; }
    return v;
}

fn store_positions4(i: u32, l: u32, v: vec4<f32>) {
    out[i + l * D] = v.x;
    if l + 1u < L { out[i + (l + 1u) * D] = v.y; }
    if l + 2u < L { out[i + (l + 2u) * D] = v.z; }
    if l + 3u < L { out[i + (l + 3u) * D] = v.w; }
}

@compute @workgroup_size(WG)
fn token_mix(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let slot = live[group.z];
    let left = D - group.x * 4u;
    let base = slot * L * D + group.x * 4u;
    if ROWS >= L {
        for (var l = id; l < L; l += WG) {
            rows[l] = s4(base + l * D, left);
        }
    }
    workgroupBarrier();
    let units = padded_vec4s(T);
    let positions = padded_vec4s(L);
    let gate_end = (L + 3u) / 4u * 2u * units;
    let down_end = (T + 3u) / 4u * positions;
    // An item is 4 positions of a channel. Items of 4 channels are neighbours. Each invocation
    // reads only the items of the output that it has stored itself.
    let items = (L + 3u) / 4u * 4u;
    let channel = id % 4u;
    let own = base + channel;
    for (var first = 0u; first < T; first += CHUNK) {
        let count = min(CHUNK, T - first);
        for (var unit = id * 4u; unit < count; unit += WG * 4u) {
            let column = (first + unit) / 4u;
            var g0 = vec4<f32>();
            var g1 = vec4<f32>();
            var g2 = vec4<f32>();
            var g3 = vec4<f32>();
            var u0 = vec4<f32>();
            var u1 = vec4<f32>();
            var u2 = vec4<f32>();
            var u3 = vec4<f32>();
            for (var l = 0u; l < L; l++) {
                var s: vec4<f32>;
                if ROWS >= L { s = rows[l]; } else { s = s4(base + l * D, left); }
                let at = l * 2u * units + column;
                let g = gate_up4(at);
                let u = gate_up4(at + units);
                g0 += g.x * s;
                g1 += g.y * s;
                g2 += g.z * s;
                g3 += g.w * s;
                u0 += u.x * s;
                u1 += u.y * s;
                u2 += u.z * s;
                u3 += u.w * s;
            }
            let g = scales(gate_up[gate_end + column]);
            let u = scales(gate_up[gate_end + units + column]);
            gated[unit] = silu_mul(g0 * g.x, u0 * u.x);
            gated[unit + 1u] = silu_mul(g1 * g.y, u1 * u.y);
            gated[unit + 2u] = silu_mul(g2 * g.z, u2 * u.z);
            gated[unit + 3u] = silu_mul(g3 * g.w, u3 * u.w);
        }
        workgroupBarrier();
        for (var item = id; item < items; item += WG) {
            let l = item / 4u * 4u;
            if channel < left {
                var sum = vec4<f32>();
                for (var unit = 0u; unit < count; unit++) {
                    let at = (first + unit) * positions + item / 4u;
                    sum += unpack4(down[vector_of(at)], at) * gated[unit][channel];
                }
                sum *= scales(down[down_end + item / 4u]);
                store_positions4(own, l, accumulated(own, l, channel, first == 0u) + sum);
            }
        }
        workgroupBarrier();
    }
    var square = 0.0;
    for (var item = id; item < items; item += WG) {
        if channel < left {
            let v = load_positions4(own, item / 4u * 4u);
            square += dot(v, v);
        }
    }
    squares[id] = square;
    workgroupBarrier();
    for (var half = WG / 2u; half >= 4u; half /= 2u) {
        if id < half {
            squares[id] += squares[id + half];
        }
        workgroupBarrier();
    }
    let factor = norm_factor(vec4<f32>(squares[channel] / f32(L)), EPS).x;
    for (var item = id; item < items; item += WG) {
        if channel < left {
            let l = item / 4u * 4u;
            store_positions4(own, l, load_positions4(own, l) * factor);
        }
    }
}
