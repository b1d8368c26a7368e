//! Int16 attention, for models with int8 or bf16 weights. It is twice as fast as f32 where the CPU
//! has instructions for it, and far more exact than int8, whose rounding a softmax magnifies.
//!
//! Queries are quantised by rows, as all activations are. Keys and values are packed as weights
//! are, once for all queries.

use super::heads::HeadBlocks;
use super::scratch::{Scratch, ScratchSize};
use super::simd::{PackedWord, Simd, Tile, TileGrid, TileIndex};
use crate::model::plan::Dims;

/// Tiles of queries in a task. The queries of one tile are processed at once.
const TILES_PER_TASK: usize = 4;

/// The layout of the packed keys and values of a slot. For each head its keys, then its values,
/// each in panels as wide as a tile. Lengths are in words.
#[derive(Clone, Copy)]
struct KeyValueLayout {
    key_panels: usize,
    key_panel_len: usize,
    value_panels: usize,
    value_panel_len: usize,
}

impl KeyValueLayout {
    fn of(d: &Dims, simd: Simd) -> Self {
        Self {
            key_panels: d.positions.div_ceil(simd.cols()),
            key_panel_len: simd.int16_panel_len(d.head_dim()),
            value_panels: d.head_dim().div_ceil(simd.cols()),
            value_panel_len: simd.int16_panel_len(d.positions),
        }
    }

    fn keys_len(&self) -> usize {
        self.key_panels * self.key_panel_len
    }

    fn head_len(&self) -> usize {
        self.keys_len() + self.value_panels * self.value_panel_len
    }
}

/// Returns the words of the packed keys and values of a slot.
pub(super) fn packed_len(d: &Dims, simd: Simd) -> usize {
    d.heads * KeyValueLayout::of(d, simd).head_len()
}

/// Returns the grid of [`pack`]: one task for each head.
pub(super) fn packed_grid(d: &Dims, simd: Simd) -> TileGrid {
    let head_len = KeyValueLayout::of(d, simd).head_len();
    TileGrid::new(d.heads, head_len, 1, head_len)
}

/// Returns the grid of [`attention`]: a task computes some queries of one head.
pub(super) fn grid(d: &Dims, simd: Simd) -> TileGrid {
    TileGrid::new(
        d.positions,
        d.hidden,
        TILES_PER_TASK * simd.rows(),
        d.head_dim(),
    )
}

/// Lengths of the scratch parts of [`pack`]: a quantised key, and the values of a panel.
fn pack_scratch_lengths(d: &Dims, simd: Simd) -> [usize; 2] {
    [Simd::int16_stride(d.head_dim()), d.positions * simd.cols()]
}

/// Lengths of the scratch parts of [`attention`]: quantised queries, scores, and their softmax.
fn scratch_lengths(d: &Dims, simd: Simd) -> [usize; 3] {
    let scores_len = d.positions.next_multiple_of(simd.cols());
    let row = [
        Simd::int16_stride(d.head_dim()),
        scores_len,
        Simd::int16_stride(d.positions),
    ];
    row.map(|len| simd.rows() * len)
}

/// Returns the scratch memory that [`pack`] and [`attention`] need.
pub(super) fn scratch_size(d: &Dims, simd: Simd) -> ScratchSize {
    let pack = ScratchSize::of(&pack_scratch_lengths(d, simd), &[]);
    pack.max(ScratchSize::of(&scratch_lengths(d, simd), &[]))
}

/// Packs the keys and values of one head. Each key has a scale, and so has each column of the
/// values.
pub(super) fn pack(
    d: &Dims,
    simd: Simd,
    heads: &HeadBlocks,
    index: &TileIndex,
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let (layout, width, cols) = (KeyValueLayout::of(d, simd), d.head_dim(), simd.cols());
    let [row, panel] = scratch.split(pack_scratch_lengths(d, simd));
    let first = index.rows.start * width;
    let (k, k_stride) = heads.column(d, d.hidden + first);
    let (v, v_stride) = heads.column(d, 2 * d.hidden + first);
    let (keys, values) = out.row(0).split_at_mut(layout.keys_len());
    for position in 0..d.positions {
        simd.int16_quantize_row(&k[position * k_stride..][..width], row);
        let panel = &mut keys[position / cols * layout.key_panel_len..][..layout.key_panel_len];
        simd.int16_pack_row(row, width, position % cols, panel);
    }
    for (first, packed) in (0..width)
        .step_by(cols)
        .zip(values.chunks_exact_mut(layout.value_panel_len))
    {
        let used = cols.min(width - first);
        for (row, value) in panel.chunks_exact_mut(cols).zip(v.chunks(v_stride)) {
            row[..used].copy_from_slice(&value[first..first + used]);
            row[used..].fill(0.0);
        }
        simd.int16_pack_columns(panel, d.positions, packed);
    }
}

/// Computes some queries of one head: queries, packed keys and values -> `[L, D]`.
pub(super) fn attention(
    d: &Dims,
    simd: Simd,
    (heads, packed): (&HeadBlocks, &[PackedWord]),
    index: &TileIndex,
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let (layout, width, cols) = (KeyValueLayout::of(d, simd), d.head_dim(), simd.cols());
    let [queries, scores, weights] = scratch.split(scratch_lengths(d, simd));
    let (q, q_stride) = heads.column(d, index.cols.start);
    let head = &packed[index.cols.start / width * layout.head_len()..][..layout.head_len()];
    let (keys, values) = head.split_at(layout.keys_len());
    let query_stride = Simd::int16_stride(width);
    let weight_stride = Simd::int16_stride(d.positions);
    let scores_len = d.positions.next_multiple_of(cols);
    // Powers of two are cheaper than powers of e.
    let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
    for first in (0..out.rows()).step_by(simd.rows()) {
        let rows = first..out.rows().min(first + simd.rows());
        for (row, quantised) in rows.clone().zip(queries.chunks_exact_mut(query_stride)) {
            simd.int16_quantize_row(
                &q[(index.rows.start + row) * q_stride..][..width],
                quantised,
            );
            quantised[query_stride - 1] *= scale;
        }
        let scores = &mut scores[..rows.len() * scores_len];
        let mut tile = Tile::of(scores, rows.len(), scores_len, scores_len);
        for (panel, keys) in keys.chunks_exact(layout.key_panel_len).enumerate() {
            let part = tile.sub_tile(0..rows.len(), panel * cols..(panel + 1) * cols);
            simd.int16_product_rows(queries, width, simd.int16_panel(width, keys), part);
        }
        for (scores, weights) in scores
            .chunks_exact_mut(scores_len)
            .zip(weights.chunks_exact_mut(weight_stride))
        {
            simd.int16_softmax(scores, d.positions, weights);
        }
        for (panel, values) in values.chunks_exact(layout.value_panel_len).enumerate() {
            let part = out.sub_tile(rows.clone(), panel * cols..width.min((panel + 1) * cols));
            let values = simd.int16_panel(d.positions, values);
            simd.int16_product_rows(weights, d.positions, values, part);
        }
    }
}
