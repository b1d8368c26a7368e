//! Attention of a model in int8, in whole numbers of 16 bits: twice as fast as in `f32` where the CPU has instructions for it, and far more
//! exact than in bytes, whose rounding a softmax magnifies. Queries are rows like any activations; keys and values are packed like
//! weights, once for all queries.

use super::heads::Heads;
use super::simd::{Grid, Place, Room, Scratch, Simd, Tile};
use crate::model::plan::Dims;

/// Queries that are looked at together are those of a tile; a task has so many times more.
const TILES: usize = 4;

/// How the packed keys and values of a slot lie: for each head its keys, in panels as wide as a tile, then its values.
#[derive(Clone, Copy)]
struct Layout {
    panels_of_keys: usize,
    panel_of_keys: usize,
    panels_of_values: usize,
    panel_of_values: usize,
}

impl Layout {
    fn of(d: &Dims, simd: Simd) -> Layout {
        Layout {
            panels_of_keys: d.positions.div_ceil(simd.cols()),
            panel_of_keys: simd.pair_group_len(d.head_dim()),
            panels_of_values: d.head_dim().div_ceil(simd.cols()),
            panel_of_values: simd.pair_group_len(d.positions),
        }
    }

    fn keys(&self) -> usize {
        self.panels_of_keys * self.panel_of_keys
    }

    fn head(&self) -> usize {
        self.keys() + self.panels_of_values * self.panel_of_values
    }
}

/// Elements that the packed keys and values of a slot take.
pub(super) fn packed_len(d: &Dims, simd: Simd) -> usize {
    d.heads * Layout::of(d, simd).head()
}

/// How packing is cut: a task for each head.
pub(super) fn packed_grid(d: &Dims, simd: Simd) -> Grid {
    let head = Layout::of(d, simd).head();
    Grid {
        rows: d.heads,
        cols: head,
        row_block: 1,
        col_block: head,
        stored: None,
    }
}

/// How attention itself is cut: some queries of one head.
pub(super) fn grid(d: &Dims, simd: Simd) -> Grid {
    Grid {
        rows: d.positions,
        cols: d.hidden,
        row_block: TILES * simd.rows(),
        col_block: d.head_dim(),
        stored: None,
    }
}

/// Scratch memory of [`pack`]: a rounded key; values of a panel.
fn pieces_to_pack(d: &Dims, simd: Simd) -> [usize; 2] {
    [Simd::pair_stride(d.head_dim()), d.positions * simd.cols()]
}

/// Scratch memory of [`attention`]: rounded queries, scores, their softmax.
fn pieces(d: &Dims, simd: Simd) -> [usize; 3] {
    let scored = d.positions.next_multiple_of(simd.cols());
    let row = [
        Simd::pair_stride(d.head_dim()),
        scored,
        Simd::pair_stride(d.positions),
    ];
    row.map(|len| simd.rows() * len)
}

/// The scratch memory that [`pack`] and [`attention`] take.
pub(super) fn room(d: &Dims, simd: Simd) -> Room {
    Room::of(&pieces_to_pack(d, simd), &[]).or(Room::of(&pieces(d, simd), &[]))
}

/// Packs the keys and values of one head: keys with a scale each, values with a scale for each element of the head.
pub(super) fn pack(
    d: &Dims,
    simd: Simd,
    heads: &Heads,
    place: &Place,
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let (layout, width, cols) = (Layout::of(d, simd), d.head_dim(), simd.cols());
    let [row, panel] = scratch.pieces(pieces_to_pack(d, simd));
    let first = place.rows.start * width;
    let (k, k_stride) = heads.column(d, d.hidden + first);
    let (v, v_stride) = heads.column(d, 2 * d.hidden + first);
    let (keys, values) = out.row(0).split_at_mut(layout.keys());
    for position in 0..d.positions {
        simd.pair_row(&k[position * k_stride..][..width], row);
        let panel = &mut keys[position / cols * layout.panel_of_keys..][..layout.panel_of_keys];
        simd.pair_pack_row(row, width, position % cols, panel);
    }
    for (first, packed) in (0..width)
        .step_by(cols)
        .zip(values.chunks_exact_mut(layout.panel_of_values))
    {
        let some = cols.min(width - first);
        for (row, value) in panel.chunks_exact_mut(cols).zip(v.chunks(v_stride)) {
            row[..some].copy_from_slice(&value[first..first + some]);
            row[some..].fill(0.0);
        }
        simd.pair_pack_columns(panel, d.positions, packed);
    }
}

/// Some queries of one head: queries, packed keys and values -> `[L, D]`.
pub(super) fn attention(
    d: &Dims,
    simd: Simd,
    (heads, packed): (&Heads, &[f32]),
    place: &Place,
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let (layout, width, cols) = (Layout::of(d, simd), d.head_dim(), simd.cols());
    let [queries, scores, shares] = scratch.pieces(pieces(d, simd));
    let (q, q_stride) = heads.column(d, place.cols.start);
    let head = &packed[place.cols.start / width * layout.head()..][..layout.head()];
    let (keys, values) = head.split_at(layout.keys());
    let (query, share) = (Simd::pair_stride(width), Simd::pair_stride(d.positions));
    let scored = d.positions.next_multiple_of(cols);
    // Powers of two are cheaper than those of e.
    let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
    for first in (0..out.rows()).step_by(simd.rows()) {
        let rows = first..out.rows().min(first + simd.rows());
        for (row, rounded) in rows.clone().zip(queries.chunks_exact_mut(query)) {
            simd.pair_row(&q[(place.rows.start + row) * q_stride..][..width], rounded);
            rounded[query - 1] *= scale;
        }
        let scores = &mut scores[..rows.len() * scored];
        let mut tile = Tile::of(scores, rows.len(), scored, scored);
        for (panel, keys) in keys.chunks_exact(layout.panel_of_keys).enumerate() {
            let part = tile.part(0..rows.len(), panel * cols..(panel + 1) * cols);
            simd.pair_product_rows(queries, width, simd.pair_group(width, keys), part);
        }
        for (scores, shares) in scores
            .chunks_exact_mut(scored)
            .zip(shares.chunks_exact_mut(share))
        {
            simd.pair_softmax(scores, d.positions, shares);
        }
        for (panel, values) in values.chunks_exact(layout.panel_of_values).enumerate() {
            let part = out.part(rows.clone(), panel * cols..width.min((panel + 1) * cols));
            simd.pair_product_rows(shares, d.positions, simd.pair_group(d.positions, values), part);
        }
    }
}
