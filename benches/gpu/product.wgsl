// product: c = a^T b for square matrices, as fast as plain WGSL goes.
//
// A workgroup computes 128 x 128 elements, an invocation 8 x 8 of them in registers.
// Grid: N / 128, N / 128.

override N: u32 = 2048u;  // rows and columns, a multiple of 128

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;        // [inner, rows]
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;        // [inner, columns]
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;  // [rows, columns]

var<workgroup> rows: array<vec4<f32>, 256>;     // [8 inner, 128 rows]
var<workgroup> columns: array<vec4<f32>, 256>;  // [8 inner, 128 columns]

fn store(row: u32, column: u32, left: vec4<f32>, right: vec4<f32>) {
    let i = row * (N / 4u) + column;
    c[i] = left;
    c[i + 16u] = right;
}

@compute @workgroup_size(256)
fn product(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let x = id % 16u;
    let y = id / 16u;
    let from_a = id / 32u * (N / 4u) + group.y * 32u + id % 32u;
    let from_b = id / 32u * (N / 4u) + group.x * 32u + id % 32u;
    // Rows 4 y .. 4 y + 3 and the same + 64; columns 4 x .. 4 x + 3 (l) and the same + 64 (r).
    var l0 = vec4<f32>(); var r0 = vec4<f32>();
    var l1 = vec4<f32>(); var r1 = vec4<f32>();
    var l2 = vec4<f32>(); var r2 = vec4<f32>();
    var l3 = vec4<f32>(); var r3 = vec4<f32>();
    var l4 = vec4<f32>(); var r4 = vec4<f32>();
    var l5 = vec4<f32>(); var r5 = vec4<f32>();
    var l6 = vec4<f32>(); var r6 = vec4<f32>();
    var l7 = vec4<f32>(); var r7 = vec4<f32>();
    for (var k = 0u; k < N; k += 8u) {
        rows[id] = a[k * (N / 4u) + from_a];
        columns[id] = b[k * (N / 4u) + from_b];
        workgroupBarrier();
        for (var i = 0u; i < 256u; i += 32u) {
            let p = rows[i + y];
            let q = rows[i + 16u + y];
            let l = columns[i + x];
            let r = columns[i + 16u + x];
            l0 += p.x * l; r0 += p.x * r;
            l1 += p.y * l; r1 += p.y * r;
            l2 += p.z * l; r2 += p.z * r;
            l3 += p.w * l; r3 += p.w * r;
            l4 += q.x * l; r4 += q.x * r;
            l5 += q.y * l; r5 += q.y * r;
            l6 += q.z * l; r6 += q.z * r;
            l7 += q.w * l; r7 += q.w * r;
        }
        workgroupBarrier();
    }
    let row = group.y * 128u + y * 4u;
    let column = group.x * 32u + x;
    store(row, column, l0, r0);
    store(row + 1u, column, l1, r1);
    store(row + 2u, column, l2, r2);
    store(row + 3u, column, l3, r3);
    store(row + 64u, column, l4, r4);
    store(row + 65u, column, l5, r5);
    store(row + 66u, column, l6, r6);
    store(row + 67u, column, l7, r7);
}
