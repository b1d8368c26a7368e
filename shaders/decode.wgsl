// decode: the answer logits of the positions from P on, and the most likely token of each cell.
//
// The first token wins a tie. A cell with a logit that is not finite gets NO_TOKEN. A workgroup
// computes 8 cells; the 8 invocations of a cell share the vocabulary.
// Grid: 1, (L - P) / 8, live slots.
// Uses shared/math.wgsl.

override L: u32 = 97u;   // positions
override D: u32 = 512u;  // hidden size
override P: u32 = 16u;   // prefix positions
override V: u32 = 11u;   // vocabulary

@group(0) @binding(0) var<storage, read> live: array<u32>;          // [live slots]
@group(0) @binding(1) var<storage, read> weight: array<f32>;        // [D, V], transposed
@group(0) @binding(2) var<storage, read> state: array<f32>;         // [B, L, D]
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;  // [B, L - P, V]
@group(0) @binding(4) var<storage, read_write> answer: array<u32>;  // [B, L - P]

var<workgroup> best_logits: array<f32, 64>;  // an invocation's largest logit
var<workgroup> best_tokens: array<u32, 64>;  // the token of that logit

@compute @workgroup_size(8, 8)
fn decode(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let slot = live[group.z];
    let cell = group.y * 8u + local.y;
    let inside = cell < L - P;
    var best = -1e30;
    var token = V;
    var finite = true;
    if inside {
        let start = (slot * L + P + cell) * D;
        for (var v = local.x; v < V; v += 8u) {
            var logit = 0.0;
            for (var k = 0u; k < D; k++) {
                logit += weight[k * V + v] * state[start + k];
            }
            logits[(slot * (L - P) + cell) * V + v] = logit;
            finite &= is_finite(logit);
            if token == V || logit > best {
                best = logit;
                token = v;
            }
        }
    }
    best_logits[id] = best;
    best_tokens[id] = select(NO_TOKEN, token, finite);
    workgroupBarrier();
    if inside && local.x == 0u {
        for (var i = 1u; i < 8u; i++) {
            finite &= best_tokens[id + i] != NO_TOKEN;
            let other = best_logits[id + i];
            let larger = other > best || (other == best && best_tokens[id + i] < token);
            if best_tokens[id + i] < V && larger {
                best = other;
                token = best_tokens[id + i];
            }
        }
        answer[slot * (L - P) + cell] = select(NO_TOKEN, token, finite);
    }
}
