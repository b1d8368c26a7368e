// halt: the two logits of the halting head, and whether the slot halts after this step.
//
// The logits are read from the first position of a state. A workgroup computes a slot.
// Grid: 1, 1, live slots.
// Uses shared/math.wgsl.

override L: u32 = 97u;   // positions
override D: u32 = 512u;  // hidden size
override ROWS: u32 = 1u; // positions whose mean the head reads: 1, or L with a symbol axis

// When a slot halts.
struct HaltParams {
    threshold: f32,       // it halts when the logit is above this
    minus_continue: u32,  // 1: the logit is halt - continue; 0: it is halt
    min_steps: u32,       // it does not halt before this step
    max_steps: u32,       // it always halts at this step
}

@group(0) @binding(0) var<storage, read> live: array<u32>;             // [live slots]
@group(0) @binding(1) var<storage, read> weight: array<f32>;           // [2, D]
@group(0) @binding(2) var<storage, read> bias: array<f32>;             // [2]
@group(0) @binding(3) var<storage, read> state: array<f32>;            // [B, L, D]
@group(0) @binding(4) var<storage, read> params: HaltParams;
@group(0) @binding(5) var<storage, read_write> out: array<vec2<f32>>;  // [B], halt and continue
// [B], steps taken and 1 if the slot stays live.
@group(0) @binding(6) var<storage, read_write> statuses: array<vec2<u32>>;

var<workgroup> sums: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn halt(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) id: u32) {
    let slot = live[group.z];
    var sum = vec2<f32>();
    for (var i = id; i < ROWS * D; i += 64u) {
        let k = i % D;
        sum += state[slot * L * D + i] * vec2<f32>(weight[k], weight[D + k]);
    }
    sums[id] = sum / f32(ROWS);
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
        let steps = statuses[slot].x + 1u;
        let logit = select(q.x, q.x - q.y, params.minus_continue == 1u);
        let may_halt = steps >= params.min_steps;
        // Numbers that overflow stay so: a slot with them ends, and the host reports it.
        let overflows = !is_finite(q.x) || !is_finite(q.y);
        let at_end = overflows || steps >= params.max_steps;
        let halts = at_end || (may_halt && logit > params.threshold);
        statuses[slot] = vec2<u32>(steps, select(1u, 0u, halts));
    }
}
