// project_split: project_add_norm for few sequences on a large GPU: the product alone, its K cut into PARTS pieces, so that there
// are enough workgroups; add_norm adds the pieces up. A workgroup computes 32 rows by 32 columns of a piece, an invocation 4 by 4.
// Grid: D / 32, PARTS * (L / 32), live slots.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // columns: the hidden size
override K: u32 = 1536u;       // width of the input
override PARTS: u32 = 4u;      // pieces of K
override FORMAT: u32 = 0u;     // of the weights: 0 f32, 1 f16, 2 bf16, 3 int8

@group(0) @binding(0) var<storage, read> live: array<u32>;               // [live slots]
@group(0) @binding(1) var<storage, read> weight: array<vec4<u32>>;       // [K, D]
@group(0) @binding(2) var<storage, read> source: array<f32>;             // the input, [B, L, K]
@group(0) @binding(3) var<storage, read_write> parts: array<vec4<f32>>;  // [B, PARTS, L, D], D padded to a multiple of 16

const DEPTH: u32 = 16u;  // of a tile
var<workgroup> tile: array<vec4<f32>, 128>;     // input, [DEPTH, 8, 4 rows]
var<workgroup> weights: array<vec4<f32>, 128>;  // [DEPTH, 8, 4 columns]

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

fn input(slot: u32, row: u32, k: u32, end: u32) -> f32 {
    if row < L && k < end {
        return source[(slot * L + row) * K + k];
    }
    return 0.0;
}

fn store(start: u32, row: u32, columns: u32, v: vec4<f32>) {
    if row < L && columns < quads(D) {
        parts[(start + row) * quads(D) + columns] = v;
    }
}

@compute @workgroup_size(8, 8)
fn project_split(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let slot = live[group.z];
    let stride = quads(D);
    let part = group.y % PARTS;
    let top = group.y / PARTS * 32u;
    // Whole tiles to each part; the last ones may get less.
    let share = (K + PARTS * DEPTH - 1u) / (PARTS * DEPTH) * DEPTH;
    let end = min(K, (part + 1u) * share);
    var p0 = vec4<f32>();
    var p1 = vec4<f32>();
    var p2 = vec4<f32>();
    var p3 = vec4<f32>();
    for (var first = part * share; first < end; first += DEPTH) {
        for (var i = id; i < 128u; i += 64u) {
            let row = top + i / DEPTH * 4u;
            let k = first + i % DEPTH;
            tile[i % DEPTH * 8u + i / DEPTH] = vec4<f32>(
                input(slot, row, k, end), input(slot, row + 1u, k, end),
                input(slot, row + 2u, k, end), input(slot, row + 3u, k, end),
            );
            let columns = group.x * 8u + i % 8u;
            let at = (first + i / 8u) * stride + columns;
            var w = vec4<f32>();
            if columns < stride && first + i / 8u < end {
                w = quad(weight[place(at)], at);
            }
            weights[i] = w;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let x = tile[k * 8u + local.y];
            let w = weights[k * 8u + local.x];
            p0 += x.x * w;
            p1 += x.y * w;
            p2 += x.z * w;
            p3 += x.w * w;
        }
        workgroupBarrier();
    }
    let columns = group.x * 8u + local.x;
    let row = top + local.y * 4u;
    let s = scales(weight[(K + 3u) / 4u * stride + columns]);
    let start = (slot * PARTS + part) * L;
    store(start, row, columns, p0 * s);
    store(start, row + 1u, columns, p1 * s);
    store(start, row + 2u, columns, p2 * s);
    store(start, row + 3u, columns, p3 * s);
}
