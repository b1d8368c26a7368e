// halt: the halting head's two logits, from a state's first position, and whether the slot ends with this step.
// A workgroup for a slot. Grid: 1, 1, live slots.

override L: u32 = 97u;   // positions
override D: u32 = 512u;  // hidden size

// When a slot ends by itself.
struct Rule {
    threshold: f32,       // once the logit is above,
    minus_continue: u32,  // 1: the logit is halt - continue; 0: halt
    min_steps: u32,       // but not before this step,
    max_steps: u32,       // and with this one in any case
}

@group(0) @binding(0) var<storage, read> live: array<u32>;                 // [live slots]
@group(0) @binding(1) var<storage, read> weight: array<f32>;               // [2, D]
@group(0) @binding(2) var<storage, read> bias: array<f32>;                 // [2]
@group(0) @binding(3) var<storage, read> state: array<f32>;                // [B, L, D]
@group(0) @binding(4) var<storage, read> rule: Rule;
@group(0) @binding(5) var<storage, read_write> out: array<vec2<f32>>;      // halt and continue, [B]
@group(0) @binding(6) var<storage, read_write> records: array<vec2<u32>>;  // steps taken, and 1 while the slot goes on, [B]

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
        let q = sums[0] + vec2<f32>(bias[0], bias[1]);
        out[slot] = q;
        let steps = records[slot].x + 1u;
        let logit = select(q.x, q.x - q.y, rule.minus_continue == 1u);
        let ends = steps >= rule.max_steps || (steps >= rule.min_steps && logit > rule.threshold);
        records[slot] = vec2<u32>(steps, select(1u, 0u, ends));
    }
}
