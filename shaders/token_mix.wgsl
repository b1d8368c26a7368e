// token_mix: s = sum of its sources; out = norm(s + down (silu(gate s) * (up s))), across the positions, for each channel.
// A workgroup owns 4 channels of a slot, so the norm along the positions is its own: gate and up with an invocation for each
// 4 inner units, down with one for each 4 positions of a channel. Grid: D / 4, 1, live slots.

override L: u32 = 97u;        // positions
override D: u32 = 512u;       // hidden size
override T: u32 = 512u;       // inner units
override SOURCES: u32 = 3u;   // 1 to 4
override EPS: f32 = 1e-5;
override WG: u32 = 128u;      // invocations, a power of two
override ROWS: u32 = 97u;     // L: s is kept in workgroup memory; less: it is summed anew wherever it is read
override CHUNK: u32 = 512u;   // inner units that are computed before they are multiplied with down, a multiple of 4
override FORMAT: u32 = 0u;    // of the weights: 0 f32, 1 f16, 2 bf16, 3 int8

@group(0) @binding(0) var<storage, read> live: array<u32>;           // [live slots]
@group(0) @binding(1) var<storage, read> gate_up: array<vec4<u32>>;  // [L, 2, T]
@group(0) @binding(2) var<storage, read> down: array<vec4<u32>>;     // [T, L]
@group(0) @binding(3) var<storage, read> source0: array<f32>;        // [B, L, D]
@group(0) @binding(4) var<storage, read> source1: array<f32>;        // [B, L, D], read if SOURCES > 1
@group(0) @binding(5) var<storage, read> source2: array<f32>;        // [B, L, D], read if SOURCES > 2
@group(0) @binding(6) var<storage, read> source3: array<f32>;        // [B, L, D], read if SOURCES > 3
@group(0) @binding(7) var<storage, read_write> out: array<f32>;      // [B, L, D]

var<workgroup> rows: array<vec4<f32>, ROWS>;    // s, [L, 4]
var<workgroup> gated: array<vec4<f32>, CHUNK>;  // silu(gate s) * (up s), [CHUNK, 4]
var<workgroup> squares: array<f32, WG>;         // each invocation's share of the sum of squares, [WG / 4, 4]

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

fn product(gate: vec4<f32>, up: vec4<f32>) -> vec4<f32> {
    // The bound keeps exp finite; silu is 0 there.
    return gate / (1.0 + exp(-max(gate, vec4<f32>(-80.0)))) * up;
}

// s of position l, of the channel that starts at i.
fn residual(i: u32, l: u32, channel: u32) -> f32 {
    if ROWS >= L { return rows[l][channel]; }
    return element(i + l * D);
}

// What 4 positions of a channel were before: the residual, or what an earlier chunk has stored.
fn before(i: u32, l: u32, channel: u32, first: bool) -> vec4<f32> {
    var v: vec4<f32>;
    if first {
        v.x = residual(i, l, channel);
        if l + 1u < L { v.y = residual(i, l + 1u, channel); }
        if l + 2u < L { v.z = residual(i, l + 2u, channel); }
        if l + 3u < L { v.w = residual(i, l + 3u, channel); }
    } else {
        v = stored(i, l);
    }
    return v;
}

fn stored(i: u32, l: u32) -> vec4<f32> {
    var v = vec4<f32>(out[i + l * D], 0.0, 0.0, 0.0);
    if l + 1u < L { v.y = out[i + (l + 1u) * D]; }
    if l + 2u < L { v.z = out[i + (l + 2u) * D]; }
    if l + 3u < L { v.w = out[i + (l + 3u) * D]; }
    return v;
}

fn store(i: u32, l: u32, v: vec4<f32>) {
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
            rows[l] = summed(base + l * D, left);
        }
    }
    workgroupBarrier();
    let units = quads(T);
    let positions = quads(L);
    let gate_end = (L + 3u) / 4u * 2u * units;
    let down_end = (T + 3u) / 4u * positions;
    // Of 4 positions and a channel each; those of 4 channels stand side by side. An item belongs to one invocation, which finds in
    // the output what it has stored.
    let items = (L + 3u) / 4u * 4u;
    let channel = id % 4u;
    let mine = base + channel;
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
                if ROWS >= L { s = rows[l]; } else { s = summed(base + l * D, left); }
                let at = l * 2u * units + column;
                let g = quad(gate_up[place(at)], at);
                let u = quad(gate_up[place(at + units)], at + units);
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
            gated[unit] = product(g0 * g.x, u0 * u.x);
            gated[unit + 1u] = product(g1 * g.y, u1 * u.y);
            gated[unit + 2u] = product(g2 * g.z, u2 * u.z);
            gated[unit + 3u] = product(g3 * g.w, u3 * u.w);
        }
        workgroupBarrier();
        for (var item = id; item < items; item += WG) {
            let l = item / 4u * 4u;
            if channel < left {
                var sum = vec4<f32>();
                for (var unit = 0u; unit < count; unit++) {
                    let at = (first + unit) * positions + item / 4u;
                    sum += quad(down[place(at)], at) * gated[unit][channel];
                }
                sum *= scales(down[down_end + item / 4u]);
                store(mine, l, before(mine, l, channel, first == 0u) + sum);
            }
        }
        workgroupBarrier();
    }
    var square = 0.0;
    for (var item = id; item < items; item += WG) {
        if channel < left {
            let v = stored(mine, item / 4u * 4u);
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
    let factor = inverseSqrt(squares[channel] / f32(L) + EPS);
    for (var item = id; item < items; item += WG) {
        if channel < left {
            let l = item / 4u * 4u;
            store(mine, l, stored(mine, l) * factor);
        }
    }
}
