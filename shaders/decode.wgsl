// decode: the answer logits of the positions from P on, and the most likely token of each cell.
//
// The first token wins a tie. A cell with a logit that is not finite gets NO_TOKEN. With a symbol
// axis, the logit of token k + 2 is the product of the one row of the weight with the cell in field
// k, and the tokens 0 and 1 have a fixed logit. A workgroup computes 8 cells; the 8 invocations of a
// cell share the vocabulary. Grid: 1, S / 8, live slots.
// Uses shared/math.wgsl.

override L: u32 = 97u;   // positions
override D: u32 = 512u;  // hidden size
override P: u32 = 16u;   // prefix positions
override V: u32 = 11u;   // vocabulary
override SYMBOLS: u32 = 0u;  // fields, 0 without a symbol axis

@group(0) @binding(0) var<storage, read> live: array<u32>;          // [live slots]
@group(0) @binding(1) var<storage, read> weight: array<f32>;        // [D, V] or [D], transposed
@group(0) @binding(2) var<storage, read> state: array<f32>;         // [B, L, D]
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;  // [B, S, V]
@group(0) @binding(4) var<storage, read_write> answer: array<u32>;  // [B, S]

var<workgroup> best_logits: array<f32, 64>;  // an invocation's largest logit
var<workgroup> best_tokens: array<u32, 64>;  // the token of that logit

// The logit of the tokens that are no symbols.
const NOT_A_SYMBOL = -100.0;

// Returns S, the number of cells.
fn cells() -> u32 {
    return select(L - P, L / max(SYMBOLS, 1u), SYMBOLS > 0u);
}

fn logit_of(slot: u32, cell: u32, token: u32) -> f32 {
    if SYMBOLS > 0u && token < 2u {
        return NOT_A_SYMBOL;
    }
    let field_row = select(P, (token - 2u) * cells(), SYMBOLS > 0u);
    let start = (slot * L + field_row + cell) * D;
    let columns = select(V, 1u, SYMBOLS > 0u);
    let column = select(token, 0u, SYMBOLS > 0u);
    var logit = 0.0;
    for (var k = 0u; k < D; k++) {
        logit += weight[k * columns + column] * state[start + k];
    }
    return logit;
}

@compute @workgroup_size(8, 8)
fn decode(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) id: u32,
) {
    let slot = live[group.z];
    let cell = group.y * 8u + local.y;
    let inside = cell < cells();
    var best = -1e30;
    var token = V;
    var finite = true;
    if inside {
        for (var v = local.x; v < V; v += 8u) {
            let logit = logit_of(slot, cell, v);
            logits[(slot * cells() + cell) * V + v] = logit;
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
        answer[slot * cells() + cell] = select(NO_TOKEN, token, finite);
    }
}
