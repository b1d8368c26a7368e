// embed: x = sqrt(D) * (prefix ++ embedding rows of the tokens), once for a puzzle.
//
// With learned positions: x = sqrt(D/2) * ((prefix ++ embedding rows) + positions). With a symbol
// axis there are SYMBOLS fields of cells, and the row of a cell is 0 for a blank, 1 for the symbol
// of the field, 2 for another. An invocation computes one element. Grid: D / 64, L / 4, live slots.

override L: u32 = 97u;         // positions
override D: u32 = 512u;        // hidden size
override P: u32 = 16u;         // prefix positions
override POSITIONS: u32 = 0u;  // 1: positions are learned
override SYMBOLS: u32 = 0u;    // fields, 0 without a symbol axis

@group(0) @binding(0) var<storage, read> live: array<u32>;        // [live slots]
@group(0) @binding(1) var<storage, read> tokens: array<u32>;      // [B, S]
@group(0) @binding(2) var<storage, read> prefix: array<f32>;      // [B, P, D]
@group(0) @binding(3) var<storage, read> embedding: array<f32>;   // [V, D]
@group(0) @binding(4) var<storage, read> positions: array<f32>;   // [L, D], read if POSITIONS
@group(0) @binding(5) var<storage, read_write> out: array<f32>;   // [B, L, D]

@compute @workgroup_size(64, 4)
fn embed(@builtin(global_invocation_id) id: vec3<u32>) {
    let channel = id.x;
    let row = id.y;
    if channel >= D || row >= L {
        return;
    }
    let slot = live[id.z];
    var x: f32;
    if SYMBOLS > 0u {
        let cells = L / max(SYMBOLS, 1u);
        let token = tokens[slot * cells + row % cells];
        let role = select(select(2u, 1u, token == row / cells + 2u), 0u, token < 2u);
        x = embedding[role * D + channel];
    } else if row < P {
        x = prefix[(slot * P + row) * D + channel];
    } else {
        x = embedding[tokens[slot * (L - P) + row - P] * D + channel];
    }
    if POSITIONS == 1u {
        x = 0.70710678118654752 * (x + positions[row * D + channel]);
    }
    out[(slot * L + row) * D + channel] = x * sqrt(f32(D));
}
