// project_add_norm: out = norm(weight input + sum of the residuals), along the channels.
//
// A workgroup computes 8 whole rows, so that it can normalise them itself. An invocation computes
// 4 columns of the 8 rows at a time. Grid: 1, L / 8, live slots.
// Uses shared/math.wgsl, shared/weights.wgsl, shared/residuals.wgsl, shared/store4.wgsl.

override L: u32 = 97u;       // positions
override D: u32 = 512u;      // columns: the hidden size
override K: u32 = 1536u;     // width of the input
override SOURCES: u32 = 1u;  // residuals, 1 to 4
override FORMAT: u32 = 0u;   // weight dtype: 0 f32, 1 f16, 2 bf16, 3 int8
override EPS: f32 = 1e-5;
override WG: u32 = 128u;     // invocations, a power of two

@group(0) @binding(0) var<storage, read> live: array<u32>;          // [live slots]
@group(0) @binding(1) var<storage, read> weight: array<vec4<u32>>;  // [K, D]
@group(0) @binding(2) var<storage, read> source: array<f32>;        // the input, [B, L, K]
@group(0) @binding(3) var<storage, read> residual0: array<f32>;     // [B, L, D]
@group(0) @binding(4) var<storage, read> residual1: array<f32>;     // [B, L, D], if SOURCES > 1
@group(0) @binding(5) var<storage, read> residual2: array<f32>;     // [B, L, D], if SOURCES > 2
@group(0) @binding(6) var<storage, read> residual3: array<f32>;     // [B, L, D], if SOURCES > 3
@group(0) @binding(7) var<storage, read_write> out: array<f32>;     // [B, L, D]

const DEPTH: u32 = 32u;  // elements of K per tile
var<workgroup> tile: array<vec4<f32>, 64>;  // input, [DEPTH, 2, 4 rows]
// An invocation's part of the rows' sums of squares, [2, WG, 4 rows].
var<workgroup> squares: array<vec4<f32>, 2u * WG>;

fn input(slot: u32, row: u32, k: u32) -> f32 {
    if row < L && k < K {
        return source[(slot * L + row) * K + k];
    }
    return 0.0;
}

// Stores 4 columns of a row, without residuals and norm.
fn store(slot: u32, row: u32, column: u32, projected: vec4<f32>) {
    if row >= L {
        return;
    }
    store4((slot * L + row) * D + column, column, D, projected);
}

// Adds the residuals to a stored element and returns the square of the result.
fn add_residuals(i: u32) -> f32 {
    let v = out[i] + sum_residuals(i);
    out[i] = v;
    return v * v;
}

@compute @workgroup_size(WG)
fn project_add_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let slot = live[group.z];
    let row = group.y * 8u;
    let stride = padded_vec4s(D);
    let used = (D + 3u) / 4u;  // 4-vectors of a row that are not padding
    for (var first = 0u; first < used; first += WG) {
        let column = (first + id) * 4u;
        var p0 = vec4<f32>();
        var p1 = vec4<f32>();
        var p2 = vec4<f32>();
        var p3 = vec4<f32>();
        var p4 = vec4<f32>();
        var p5 = vec4<f32>();
        var p6 = vec4<f32>();
        var p7 = vec4<f32>();
        for (var start = 0u; start < K; start += DEPTH) {
            for (var i = id; i < 64u; i += WG) {
                let r = row + i / DEPTH * 4u;
                let k = start + i % DEPTH;
                tile[i % DEPTH * 2u + i / DEPTH] = vec4<f32>(
                    input(slot, r, k), input(slot, r + 1u, k),
                    input(slot, r + 2u, k), input(slot, r + 3u, k),
                );
            }
            workgroupBarrier();
            if column < D {
                let depth = min(DEPTH, K - start);
                for (var k = 0u; k < depth; k++) {
                    let at = (start + k) * stride + first + id;
                    let w = unpack4(weight[vector_of(at)], at);
                    let a = tile[k * 2u];
                    let b = tile[k * 2u + 1u];
                    p0 += a.x * w;
                    p1 += a.y * w;
                    p2 += a.z * w;
                    p3 += a.w * w;
                    p4 += b.x * w;
                    p5 += b.y * w;
                    p6 += b.z * w;
                    p7 += b.w * w;
                }
            }
            workgroupBarrier();
        }
        if column < D {
            let s = scales(weight[(K + 3u) / 4u * stride + first + id]);
            store(slot, row, column, p0 * s);
            store(slot, row + 1u, column, p1 * s);
            store(slot, row + 2u, column, p2 * s);
            store(slot, row + 3u, column, p3 * s);
            store(slot, row + 4u, column, p4 * s);
            store(slot, row + 5u, column, p5 * s);
            store(slot, row + 6u, column, p6 * s);
            store(slot, row + 7u, column, p7 * s);
        }
    }
    var low = vec4<f32>();
    var high = vec4<f32>();
    // Each invocation reads only the columns that it has stored itself. These loops are not
    // unrolled: they would be most of the code.
    let rows = min(8u, L - row);
    for (var first = id * 4u; first < D; first += WG * 4u) {
        for (var r = 0u; r < rows; r++) {
            var square = 0.0;
            for (var column = first; column < min(first + 4u, D); column++) {
                square += add_residuals((slot * L + row + r) * D + column);
            }
            if r < 4u { low[r] += square; } else { high[r - 4u] += square; }
        }
    }
    squares[id] = low;
    squares[WG + id] = high;
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        if id < half {
            squares[id] += squares[id + half];
            squares[WG + id] += squares[WG + id + half];
        }
        workgroupBarrier();
    }
    let a = norm_factor(squares[0] / f32(D), EPS);
    let b = norm_factor(squares[WG] / f32(D), EPS);
    for (var first = id * 4u; first < D; first += WG * 4u) {
        for (var r = 0u; r < rows; r++) {
            var factor: f32;
            if r < 4u { factor = a[r]; } else { factor = b[r - 4u]; }
            for (var column = first; column < min(first + 4u, D); column++) {
                out[(slot * L + row + r) * D + column] *= factor;
            }
        }
    }
}
