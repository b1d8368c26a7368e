// halt: the halting head's two logits, from a state's first position. A workgroup for a slot. Grid: 1, 1, live slots.

override L: u32 = 97u;   // positions
override D: u32 = 512u;  // hidden size

@group(0) @binding(0) var<storage, read> live: array<u32>;       // [live slots]
@group(0) @binding(1) var<storage, read> weight: array<f32>;     // [2, D]
@group(0) @binding(2) var<storage, read> bias: array<f32>;       // [2]
@group(0) @binding(3) var<storage, read> state: array<f32>;      // [B, L, D]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // halt and continue, [B, 2]

var<workgroup> sums: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn halt(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let slot = live[group.z];
    var sum = vec2<f32>();
    for (var k = id; k < D; k += 64u) {
        sum += state[slot * L * D + k] * vec2<f32>(weight[k], weight[D + k]);
    }
    sums[id] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if id < half {
            sums[id] += sums[id + half];
        }
        workgroupBarrier();
    }
    if id == 0u {
        out[slot * 2u] = sums[0].x + bias[0];
        out[slot * 2u + 1u] = sums[0].y + bias[1];
    }
}
