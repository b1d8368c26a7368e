// unit_sums: the sums of messages within the units of a Sudoku.
//
// A cell of a field gets the messages of the other members of its units. A sixth of the channels each
// is for the row, the column, the box, the row within the box, the column within the box, and the
// symbols of the cell. An invocation computes one element. Grid: M / 16, K S / 4, live slots.

override K: u32 = 9u;         // symbols: fields
override SIDE: u32 = 9u;      // rows and columns of the grid, S = SIDE SIDE
override BOX_ROWS: u32 = 3u;  // rows of a box
override BOX_COLS: u32 = 3u;  // columns of a box
override M: u32 = 144u;       // channels

@group(0) @binding(0) var<storage, read> live: array<u32>;       // [live slots]
@group(0) @binding(1) var<storage, read> source: array<f32>;     // [B, K, S, M]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;  // [B, K, S, M]

// Sums a channel over a rectangle of a field, row by row.
fn sum_rectangle(slot: u32, field: u32, first: vec2<u32>, size: vec2<u32>, channel: u32) -> f32 {
    var sum = 0.0;
    for (var row = first.x; row < first.x + size.x; row++) {
        for (var col = first.y; col < first.y + size.y; col++) {
            sum += source[((slot * K + field) * SIDE * SIDE + row * SIDE + col) * M + channel];
        }
    }
    return sum;
}

// Sums a channel over all fields of a cell.
fn sum_fields(slot: u32, cell: u32, channel: u32) -> f32 {
    var sum = 0.0;
    for (var field = 0u; field < K; field++) {
        sum += source[((slot * K + field) * SIDE * SIDE + cell) * M + channel];
    }
    return sum;
}

@compute @workgroup_size(16, 4)
fn unit_sums(@builtin(global_invocation_id) id: vec3<u32>) {
    let cells = SIDE * SIDE;
    let channel = id.x;
    if channel >= M || id.y >= K * cells {
        return;
    }
    let slot = live[id.z];
    let field = id.y / cells;
    let cell = id.y % cells;
    let place = vec2<u32>(cell / SIDE, cell % SIDE);
    let size = vec2<u32>(BOX_ROWS, BOX_COLS);
    let corner = place / size * size;
    var sum: f32;
    switch channel / (M / 6u) {
        case 0u: {
            sum = sum_rectangle(slot, field, vec2<u32>(place.x, 0u), vec2<u32>(1u, SIDE), channel);
        }
        case 1u: {
            sum = sum_rectangle(slot, field, vec2<u32>(0u, place.y), vec2<u32>(SIDE, 1u), channel);
        }
        case 2u: {
            sum = sum_rectangle(slot, field, corner, size, channel);
        }
        case 3u: {
            let first = vec2<u32>(place.x, corner.y);
            sum = sum_rectangle(slot, field, first, vec2<u32>(1u, BOX_COLS), channel);
        }
        case 4u: {
            let first = vec2<u32>(corner.x, place.y);
            sum = sum_rectangle(slot, field, first, vec2<u32>(BOX_ROWS, 1u), channel);
        }
        default: {
            sum = sum_fields(slot, cell, channel);
        }
    }
    let i = ((slot * K + field) * cells + cell) * M + channel;
    out[i] = sum - source[i];
}
