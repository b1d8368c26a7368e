// project_split: the product of project_add_norm alone, with K cut into PARTS (split-K).
//
// For few sequences on a large GPU: the parts give it enough workgroups. add_norm adds the parts
// up. A workgroup computes 32 rows by 32 columns of a part, an invocation 4 by 4 of them.
// Grid: D / 32, PARTS * (L / 32), live slots.
// Uses shared/math.wgsl, shared/weights.wgsl.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // columns: the hidden size
override K: u32 = 1536u;       // width of the input
override PARTS: u32 = 4u;      // parts of K
override FORMAT: u32 = 0u;     // weight dtype: 0 f32, 1 f16, 2 bf16, 3 int8

@group(0) @binding(0) var<storage, read> live: array<u32>;               // [live slots]
@group(0) @binding(1) var<storage, read> weight: array<vec4<u32>>;       // [K, D]
@group(0) @binding(2) var<storage, read> source: array<f32>;             // the input, [B, L, K]
@group(0) @binding(3) var<storage, read_write> parts: array<vec4<f32>>;  // [B, PARTS, L, padded D]

const DEPTH: u32 = 16u;  // elements of K per tile
var<workgroup> tile: array<vec4<f32>, 128>;     // input, [DEPTH, 8, 4 rows]
var<workgroup> weights: array<vec4<f32>, 128>;  // [DEPTH, 8, 4 columns]

fn input(slot: u32, row: u32, k: u32, end: u32) -> f32 {
    if row < L && k < end {
        return source[(slot * L + row) * K + k];
    }
    return 0.0;
}

fn store(start: u32, row: u32, columns: u32, v: vec4<f32>) {
    if row < L && columns < padded_vec4s(D) {
        parts[(start + row) * padded_vec4s(D) + columns] = v;
    }
}

@compute @workgroup_size(8, 8)
fn project_split(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let slot = live[group.z];
    let stride = padded_vec4s(D);
    let part = group.y % PARTS;
    let top = group.y / PARTS * 32u;
    // Each part has whole tiles; the last parts may have fewer.
    let part_width = (K + PARTS * DEPTH - 1u) / (PARTS * DEPTH) * DEPTH;
    let end = min(K, (part + 1u) * part_width);
    var p0 = vec4<f32>();
    var p1 = vec4<f32>();
    var p2 = vec4<f32>();
    var p3 = vec4<f32>();
    for (var first = part * part_width; first < end; first += DEPTH) {
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
                w = unpack4(weight[vector_of(at)], at);
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
