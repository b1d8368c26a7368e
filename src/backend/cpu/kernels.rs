//! Runs calls: cuts each into tiles and gives them to the team.

use std::sync::Arc;

use super::cut::{cut, head_unit};
use super::heads::Heads;
use super::packed::{Matrix, Prepared};
use super::project::{Rows, project};
use super::project_add_norm::add_norm;
use super::qkv_rope::{Rope, qkv_rope};
use super::simd::{Finish, Grid, Marks, Place, Room, Scratch, Shift, Simd, Sum, Tile, for_each_tile};
use super::swiglu::swiglu;
use super::{attention, attention_pairs, decode, embed, halt, token_mix};
use crate::backend::host::HostBuffers;
use crate::model::plan::{Buffer, Call, Dims, Plan};
use crate::model::weights::Weight;

/// What all slots share.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) simd: Simd,
    pub(super) weights: Arc<Prepared>,
    pub(super) rope: Option<Rope>,
}

impl Model {
    /// Whether attention is of whole numbers: where products are not of `f32`.
    fn attends_in_pairs(&self) -> bool {
        self.weights.has_int8() || self.weights.has_bf16()
    }
}

/// A slot's memory: the buffers of the plan, and what the kernels have beside them.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) memory: HostBuffers,
    /// Queries, keys and values, in a model with attention.
    heads: Option<Heads>,
    /// The rows that a product reads where they are no buffer's: the sum of some, or quantised.
    rows: Vec<f32>,
    /// Keys and values, packed, where attention is of whole numbers.
    keys_values: Vec<f32>,
    /// For when the slot runs on its own.
    pub(super) desk: Desk,
}

/// What a run keeps for the next one, so as to allocate nothing.
#[derive(Debug, Default)]
pub(super) struct Desk {
    outs: Vec<Vec<f32>>,
    marks: Marks,
}

impl Desk {
    /// For so many slots at a time.
    pub(super) fn new(d: &Dims, simd: Simd, slots: usize) -> Desk {
        Desk {
            outs: Vec::with_capacity(slots),
            marks: Marks::new(slots, d.positions, simd.rows()),
        }
    }
}

/// The scratch memory that the calls of a plan take.
pub(super) fn room(plan: &Plan, model: &Model) -> Room {
    let (d, simd) = (&plan.dims, model.simd);
    let packed = [model.weights.has_int8(), model.weights.has_bf16()];
    let less = packed.contains(&true);
    // The row that is added up before it is rounded.
    let row = Room::of(&[d.hidden.max(d.inner)], &[]);
    let of_call = |call: &Call| match call {
        Call::TokenMix { .. } => token_mix::room(d, simd, packed),
        Call::Attention { .. } if less => attention_pairs::room(d, simd),
        Call::Attention { .. } => attention::room(d, simd),
        _ if less => row,
        _ => Room::default(),
    };
    plan.calls.iter().map(of_call).fold(Room::default(), Room::or)
}

impl Slot {
    pub(super) fn new(plan: &Plan, model: &Model) -> Slot {
        let d = &plan.dims;
        let attends = |c: &Call| matches!(c, Call::QkvRope { .. } | Call::Attention { .. });
        let attends = plan.calls.iter().any(attends);
        let longest = d.hidden.max(d.inner);
        let row = if model.weights.has_int8() {
            Simd::int8_stride(longest).max(d.hidden)
        } else if model.weights.has_bf16() {
            Simd::bf16_stride(longest).max(d.hidden)
        } else if attends {
            d.hidden
        } else {
            0
        };
        Slot {
            memory: HostBuffers::new(plan, 1),
            heads: attends.then(|| Heads::new(d, model.simd)),
            rows: vec![0.0; d.positions * row],
            keys_values: match attends && model.attends_in_pairs() {
                true => vec![0.0; attention_pairs::packed_len(d, model.simd)],
                false => Vec::new(),
            },
            desk: Desk::new(d, model.simd, 1),
        }
    }

    /// Copies queries, keys and values to their buffer, or back.
    fn exchange(&mut self, out: bool) {
        let mut rows = self.memory.take(Buffer::Qkv);
        if let Some(heads) = &mut self.heads {
            heads.exchange(&self.memory.dims, &mut rows, out);
        }
        self.memory.put(Buffer::Qkv, rows);
    }

    /// What a call writes. It is taken out of the slot meanwhile: no call reads what it writes.
    fn out(&mut self, out: Out) -> Vec<f32> {
        match out {
            Out::Buffer(buffer) => self.memory.take(buffer),
            Out::Heads => self
                .heads
                .as_mut()
                .map(|h| std::mem::take(&mut h.data))
                .unwrap_or_default(),
            Out::Rows => std::mem::take(&mut self.rows),
            Out::KeysValues => std::mem::take(&mut self.keys_values),
        }
    }

    /// Brings it back.
    fn put(&mut self, out: Out, values: Vec<f32>) {
        match (out, &mut self.heads) {
            (Out::Buffer(buffer), _) => self.memory.put(buffer, values),
            (Out::Heads, Some(heads)) => heads.data = values,
            (Out::Heads, None) => {}
            (Out::Rows, _) => self.rows = values,
            (Out::KeysValues, _) => self.keys_values = values,
        }
    }
}

/// What a call writes.
#[derive(Clone, Copy)]
enum Out {
    Buffer(Buffer),
    Heads,
    Rows,
    KeysValues,
}

/// Runs these calls for the live ones of `slots`.
pub(super) fn run(
    model: &Model,
    calls: &[Call],
    slots: &mut [Slot],
    live: &[usize],
    desk: &mut Desk,
    shift: &mut Shift<'_>,
) {
    let attends = |call: Option<&Call>| matches!(call, Some(Call::Attention { .. }));
    let mut run = Run {
        model,
        slots,
        live,
        desk,
        shift,
    };
    for (i, call) in calls.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| calls.get(i));
        // Between the two, queries, keys and values stay as `heads`; the buffer has them for whoever looks in between.
        if attends(Some(call)) && !matches!(before, Some(Call::QkvRope { .. })) {
            run.each(|slot| slot.exchange(false));
        }
        run.call(call);
        if matches!(call, Call::QkvRope { .. }) && !attends(calls.get(i + 1)) {
            run.each(|slot| slot.exchange(true));
        }
    }
}

/// What is done with whole rows of a slot, once all their tiles are there.
type FinishRows<'a> = &'a (dyn Fn(&Slot, &Place, Tile<'_>) + Sync);

/// Calls as they run.
struct Run<'a, 'b> {
    model: &'a Model,
    slots: &'a mut [Slot],
    live: &'a [usize],
    desk: &'a mut Desk,
    shift: &'a mut Shift<'b>,
}

impl Run<'_, '_> {
    fn each(&mut self, mut work: impl FnMut(&mut Slot)) {
        self.live.iter().for_each(|slot| work(&mut self.slots[*slot]));
    }

    fn call(&mut self, call: &Call) {
        match call {
            Call::Embed { embedding, positions } => self.embed(*embedding, *positions),
            Call::TokenMix {
                gate_up,
                down,
                sources,
                out,
            } => self.token_mix([*gate_up, *down], sources, *out),
            Call::QkvRope { qkv, sources, .. } => self.qkv_rope(*qkv, sources),
            Call::Attention { out, .. } => self.attention(*out),
            Call::Swiglu { gate_up, input, out } => self.swiglu(*gate_up, *input, *out),
            Call::ProjectAddNorm {
                weight,
                input,
                residuals,
                out,
            } => self.project_add_norm(*weight, *input, residuals, *out),
            Call::Halt { weight, bias, state } => self.halt(*weight, *bias, *state),
            Call::Decode { weight, state } => self.decode(*weight, *state),
        }
    }

    /// Computes tiles of what each slot writes with `work(slot, place, tile, scratch)`.
    fn tiles(
        &mut self,
        out: Out,
        grid: &Grid,
        work: impl Fn(&Slot, &Place, Tile<'_>, &mut Scratch) + Sync,
        finish: Option<FinishRows<'_>>,
    ) {
        let (slots, desk) = (&mut *self.slots, &mut *self.desk);
        for slot in self.live {
            desk.outs.push(slots[*slot].out(out));
        }
        let (readable, live) = (&*slots, self.live);
        let finish_rows = |place: &Place, rows: Tile<'_>| {
            if let Some(finish) = finish {
                finish(&readable[live[place.matrix]], place, rows);
            }
        };
        let finish_rows: Option<Finish<'_>> = finish.is_some().then_some(&finish_rows);
        for_each_tile(
            self.shift,
            &mut desk.outs,
            grid,
            &mut desk.marks,
            |place, tile, scratch| work(&readable[live[place.matrix]], place, tile, scratch),
            finish_rows,
        );
        for (slot, values) in self.live.iter().zip(desk.outs.drain(..)) {
            slots[*slot].put(out, values);
        }
    }

    /// A matrix `[rows, cols]`, cut into tiles.
    fn grid(rows: usize, cols: usize, row_block: usize, col_block: usize) -> Grid {
        Grid {
            rows,
            cols,
            row_block: row_block.max(1),
            col_block: col_block.max(1),
            stored: None,
        }
    }

    fn embed(&mut self, embedding: Weight, positions: Option<Weight>) {
        let weights = &self.model.weights;
        let (embedding, positions) = (weights.plain(embedding), positions.map(|w| weights.plain(w)));
        self.each(|slot| {
            let mut out = slot.memory.take(Buffer::Input);
            let tokens = slot.memory.get_integers(Buffer::Tokens, 0);
            let prefix = slot.memory.get(Buffer::Prefix, 0);
            embed::embed(&slot.memory.dims, tokens, prefix, embedding, positions, &mut out);
            slot.memory.put(Buffer::Input, out);
        });
    }

    fn token_mix(&mut self, weights: [Weight; 2], sources: &[Buffer], out: Buffer) {
        let (d, simd) = (self.dims(), self.model.simd);
        let weights = weights.map(|w| self.model.weights.matrix(w));
        let grid = Self::grid(d.positions, d.hidden, d.positions, simd.cols());
        let work = |slot: &Slot, place: &Place, tile: Tile<'_>, scratch: &mut Scratch| {
            let sources = sum(slot, sources);
            token_mix::token_mix(&d, simd, &sources, place.cols.start, weights, tile, scratch);
        };
        self.tiles(Out::Buffer(out), &grid, work, None);
    }

    fn qkv_rope(&mut self, qkv: Weight, sources: &[Buffer]) {
        let matrix = self.model.weights.matrix(qkv);
        self.prepare(sources, matrix);
        let (d, simd, rope) = (self.dims(), self.model.simd, self.model.rope.as_ref());
        let product = [d.positions, d.hidden, 3 * d.hidden];
        let cut = cut(
            simd,
            product,
            head_unit(&d, simd),
            self.live.len(),
            self.shift.threads(),
        );
        let work = |slot: &Slot, place: &Place, tile: Tile<'_>, _: &mut Scratch| {
            qkv_rope(
                &d,
                simd,
                prepared(slot, sources, matrix, simd),
                matrix,
                rope,
                place,
                tile,
            );
        };
        self.tiles(Out::Heads, &Heads::grid(&d, simd, cut.rows), work, None);
    }

    fn attention(&mut self, out: Buffer) {
        let (d, simd) = (self.dims(), self.model.simd);
        if self.model.attends_in_pairs() {
            return self.attention_pairs(&d, out);
        }
        let grid = Self::grid(d.positions, d.hidden, simd.cols(), d.head_dim());
        let work = |slot: &Slot, place: &Place, tile: Tile<'_>, scratch: &mut Scratch| {
            if let Some(heads) = &slot.heads {
                attention::attention(&d, simd, heads, place, tile, scratch);
            }
        };
        self.tiles(Out::Buffer(out), &grid, work, None);
    }

    fn attention_pairs(&mut self, d: &Dims, out: Buffer) {
        let simd = self.model.simd;
        let pack = |slot: &Slot, place: &Place, tile: Tile<'_>, scratch: &mut Scratch| {
            if let Some(heads) = &slot.heads {
                attention_pairs::pack(d, simd, heads, place, tile, scratch);
            }
        };
        self.tiles(
            Out::KeysValues,
            &attention_pairs::packed_grid(d, simd),
            pack,
            None,
        );
        let work = |slot: &Slot, place: &Place, tile: Tile<'_>, scratch: &mut Scratch| {
            if let Some(heads) = &slot.heads {
                attention_pairs::attention(d, simd, (heads, &slot.keys_values), place, tile, scratch);
            }
        };
        self.tiles(Out::Buffer(out), &attention_pairs::grid(d, simd), work, None);
    }

    fn swiglu(&mut self, gate_up: Weight, input: Buffer, out: Buffer) {
        let (d, simd) = (self.dims(), self.model.simd);
        let matrix = self.model.weights.matrix(gate_up);
        self.prepare(&[input], matrix);
        let grid = self.product_grid([d.positions, d.hidden, d.inner], simd.cols() / 2);
        let work = |slot: &Slot, place: &Place, tile: Tile<'_>, _: &mut Scratch| {
            swiglu(simd, prepared(slot, &[input], matrix, simd), matrix, place, tile);
        };
        self.tiles(Out::Buffer(out), &grid, work, None);
    }

    fn project_add_norm(&mut self, weight: Weight, input: Buffer, residuals: &[Buffer], out: Buffer) {
        let (d, simd) = (self.dims(), self.model.simd);
        let matrix = self.model.weights.matrix(weight);
        self.prepare(&[input], matrix);
        let grid = self.product_grid([d.positions, matrix.k(), d.hidden], simd.cols());
        let work = |slot: &Slot, place: &Place, tile: Tile<'_>, _: &mut Scratch| {
            project(simd, prepared(slot, &[input], matrix, simd), matrix, place, tile);
        };
        let finish = |slot: &Slot, place: &Place, rows: Tile<'_>| {
            add_norm(&d, simd, &sum(slot, residuals), place, rows);
        };
        self.tiles(Out::Buffer(out), &grid, work, Some(&finish));
    }

    fn halt(&mut self, weight: Weight, bias: Weight, state: Buffer) {
        let [weight, bias] = [weight, bias].map(|w| self.model.weights.plain(w));
        self.each(|slot| {
            let mut out = slot.memory.take(Buffer::Halting);
            halt::halt(
                &slot.memory.dims,
                slot.memory.get(state, 0),
                weight,
                bias,
                &mut out,
            );
            slot.memory.put(Buffer::Halting, out);
        });
    }

    fn decode(&mut self, weight: Weight, state: Buffer) {
        let (d, simd) = (self.dims(), self.model.simd);
        let matrix = self.model.weights.matrix(weight);
        let whole = d.vocab.next_multiple_of(simd.cols());
        let grid = Self::grid(d.tokens, d.vocab, 2 * simd.rows(), whole);
        let work = |slot: &Slot, place: &Place, tile: Tile<'_>, _: &mut Scratch| {
            let cells = &slot.memory.get(state, 0)[d.prefix * d.hidden..];
            project(simd, Rows::F32(cells), matrix, place, tile);
        };
        self.tiles(Out::Buffer(Buffer::Logits), &grid, work, None);
        self.each(|slot| {
            let mut answer = slot.memory.take_integers(Buffer::Answer);
            decode::decode(&d, slot.memory.get(Buffer::Logits, 0), &mut answer);
            slot.memory.put_integers(Buffer::Answer, answer);
        });
    }

    /// Adds up and quantises the rows that a product with `matrix` reads, unless they are those of a buffer.
    fn prepare(&mut self, sources: &[Buffer], matrix: Matrix<'_>) {
        let (k, simd, positions) = (matrix.k(), self.model.simd, self.dims().positions);
        match matrix {
            Matrix::F32(_) if sources.len() == 1 => {}
            Matrix::F32(_) => {
                let grid = Self::grid(positions, k, simd.rows(), k);
                let work = |slot: &Slot, place: &Place, tile: Tile<'_>, _: &mut Scratch| {
                    simd.write_sum(&sum(slot, sources), place.rows.start * k, k, tile);
                };
                self.tiles(Out::Rows, &grid, work, None);
            }
            Matrix::Int8(_) => {
                self.round_rows(sources, k, Simd::int8_stride(k), |x, out| {
                    simd.quantize_row(x, out)
                });
            }
            Matrix::Bf16(_) => {
                self.round_rows(sources, k, Simd::bf16_stride(k), |x, out| simd.bf16_row(x, out));
            }
        }
    }

    /// Adds up rows of k elements and writes what `round(row, out)` makes of them, `stride` elements each.
    fn round_rows(
        &mut self,
        sources: &[Buffer],
        k: usize,
        stride: usize,
        round: impl Fn(&[f32], &mut [f32]) + Sync,
    ) {
        let (simd, positions) = (self.model.simd, self.dims().positions);
        let grid = Self::grid(positions, stride, simd.rows(), stride);
        let work = |slot: &Slot, place: &Place, mut tile: Tile<'_>, scratch: &mut Scratch| {
            let ([row], sum) = (scratch.pieces([k]), sum(slot, sources));
            for (i, position) in place.rows.clone().enumerate() {
                if let [only] = *sum.terms() {
                    round(&only[position * k..][..k], tile.row(i));
                } else {
                    simd.write_sum(&sum, position * k, k, Tile::of(row, 1, k, k));
                    round(row, tile.row(i));
                }
            }
        };
        self.tiles(Out::Rows, &grid, work, None);
    }

    /// How a product `[rows, k]` times `[k, cols]` is cut, whose columns stay together in units.
    fn product_grid(&self, [rows, k, cols]: [usize; 3], unit: usize) -> Grid {
        let cut = cut(
            self.model.simd,
            [rows, k, cols],
            unit,
            self.live.len(),
            self.shift.threads(),
        );
        Self::grid(rows, cols, cut.rows, cut.cols)
    }

    fn dims(&self) -> Dims {
        self.slots[self.live[0]].memory.dims
    }
}

/// The sum of a slot's buffers.
fn sum<'a>(slot: &'a Slot, sources: &[Buffer]) -> Sum<'a> {
    Sum::of(sources.iter().map(|s| slot.memory.get(*s, 0)))
}

/// The rows that [`Run::prepare`] has prepared for a product with `matrix`.
fn prepared<'a>(slot: &'a Slot, sources: &[Buffer], matrix: Matrix<'_>, simd: Simd) -> Rows<'a> {
    match (matrix, sources) {
        (Matrix::F32(_), [only]) => Rows::F32(slot.memory.get(*only, 0)),
        (Matrix::F32(_), _) => Rows::F32(&slot.rows),
        (Matrix::Int8(_), _) => Rows::Int8(&slot.rows),
        (Matrix::Bf16(_), _) => Rows::Bf16(&slot.rows, simd.bf16().unwrap_or(simd)),
    }
}
