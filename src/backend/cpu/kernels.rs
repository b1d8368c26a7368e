//! Runs the calls of a plan: divides each into tiles and gives them to the thread pool.

use super::blocking::{block_size, head_block_cols};
use super::heads::HeadBlocks;
use super::packed::{Arithmetic, Matrix};
use super::pool::PoolScope;
use super::project::{InputRows, project};
use super::project_add_norm::add_norm;
use super::qkv_rope::qkv_rope;
use super::quantize::{input_grid, input_rows, write_input_rows};
use super::scratch::{Scratch, ScratchSize};
use super::simd::{RowEpilogue, Tile, TileGrid, TileIndex, for_each_tile};
use super::slot::{Output, RunBuffers, SharedWeights, Slot};
use super::swiglu::swiglu;
use super::{attention, attention_int16, decode, embed, halt, token_mix, unit_sums};
use crate::model::plan::{Buffer, Call, Dims, Plan};
use crate::model::weights::Weight;

/// Returns the scratch memory that the calls of a plan need.
pub(super) fn scratch_size(plan: &Plan, shared: &SharedWeights) -> ScratchSize {
    let (d, simd) = (&plan.dims, shared.simd);
    let arithmetic = shared.weights.arithmetic();
    let quantises = arithmetic != Arithmetic::F32;
    // A row that is summed before it is quantised.
    let row = ScratchSize::of(&[d.hidden.max(d.inner).max(d.mixer_inner)], &[]);
    let of_call = |call: &Call| match call {
        Call::TokenMix { .. } => token_mix::scratch_size(d, simd, arithmetic),
        Call::Attention { .. } if quantises => attention_int16::scratch_size(d, simd),
        Call::Attention { .. } => attention::scratch_size(d, simd),
        Call::UnitSums { .. } => unit_sums::scratch_size(d),
        Call::Decode { .. } if d.symbols > 0 => decode::scratch_size(simd),
        _ if quantises => row,
        _ => ScratchSize::default(),
    };
    plan.calls
        .iter()
        .map(of_call)
        .fold(ScratchSize::default(), ScratchSize::max)
}

/// Runs these calls for the `live` ones of `slots`. Leaves out the rest as soon as `shared.stop`
/// says so.
pub(super) fn run_calls(
    shared: &SharedWeights,
    calls: &[Call],
    slots: &mut [Slot],
    live: &[usize],
    buffers: &mut RunBuffers,
    scope: &mut PoolScope<'_>,
) {
    let attends = |call: Option<&Call>| matches!(call, Some(Call::Attention { .. }));
    let mut runner = CallRunner {
        shared,
        slots,
        live,
        buffers,
        scope,
    };
    for (i, call) in calls.iter().enumerate() {
        if shared.stop.look() {
            return;
        }
        let before = i.checked_sub(1).and_then(|i| calls.get(i));
        // Between QkvRope and Attention, queries, keys and values stay in `Slot::heads`. If only
        // one of the two calls runs, they are copied from or to the plan's buffer.
        if attends(Some(call)) && !matches!(before, Some(Call::QkvRope { .. })) {
            runner.for_each_slot(Slot::heads_from_buffer);
        }
        runner.call(call);
        if matches!(call, Call::QkvRope { .. }) && !attends(calls.get(i + 1)) {
            runner.for_each_slot(Slot::heads_to_buffer);
        }
    }
}

/// A [`RowEpilogue`] that also gets the slot of the rows.
type SlotEpilogue<'a> = &'a (dyn Fn(&Slot, &TileIndex, Tile<'_>) + Sync);

/// Runs one call after the other for the live slots.
struct CallRunner<'a, 'b> {
    shared: &'a SharedWeights,
    slots: &'a mut [Slot],
    live: &'a [usize],
    buffers: &'a mut RunBuffers,
    scope: &'a mut PoolScope<'b>,
}

impl CallRunner<'_, '_> {
    fn for_each_slot(&mut self, mut work: impl FnMut(&mut Slot)) {
        self.live
            .iter()
            .for_each(|slot| work(&mut self.slots[*slot]));
    }

    fn call(&mut self, call: &Call) {
        match call {
            Call::Embed {
                embedding,
                positions,
            } => self.embed(*embedding, *positions),
            Call::TokenMix {
                gate_up,
                down,
                sources,
                out,
            } => self.token_mix([*gate_up, *down], sources, *out),
            Call::QkvRope { qkv, sources, .. } => self.qkv_rope(*qkv, sources),
            Call::Attention { out, .. } => self.attention(*out),
            Call::Swiglu {
                gate_up,
                sources,
                out,
            } => self.swiglu(*gate_up, sources, *out),
            Call::UnitSums { input, out } => self.unit_sums(*input, *out),
            Call::ProjectAddNorm {
                weight,
                input,
                residuals,
                out,
            } => self.project_add_norm(*weight, *input, residuals, *out),
            Call::Halt {
                weight,
                bias,
                state,
            } => self.halt(*weight, *bias, *state),
            Call::Decode { weight, state } => self.decode(*weight, *state),
        }
    }

    /// Computes the tiles of an output of each live slot, with
    /// `compute(slot, index, tile, scratch)`.
    fn tiles(
        &mut self,
        output: Output,
        grid: &TileGrid,
        compute: impl Fn(&Slot, &TileIndex, Tile<'_>, &mut Scratch) + Sync,
        epilogue: Option<SlotEpilogue<'_>>,
    ) {
        let (slots, buffers) = (&mut *self.slots, &mut *self.buffers);
        for slot in self.live {
            buffers.outputs.push(slots[*slot].take_output(output));
        }
        let (readable, live, stop) = (&*slots, self.live, &self.shared.stop);
        let row_epilogue = |index: &TileIndex, rows: Tile<'_>| {
            if let Some(epilogue) = epilogue {
                epilogue(&readable[live[index.matrix]], index, rows);
            }
        };
        let row_epilogue: Option<RowEpilogue<'_>> = epilogue.is_some().then_some(&row_epilogue);
        for_each_tile(
            self.scope,
            &mut buffers.outputs,
            grid,
            &mut buffers.counters,
            |index, tile, scratch| {
                if !stop.look_at_tile(scratch) {
                    compute(&readable[live[index.matrix]], index, tile, scratch);
                }
            },
            row_epilogue,
        );
        for (slot, values) in self.live.iter().zip(buffers.outputs.drain(..)) {
            slots[*slot].put_output(output, values);
        }
    }

    fn embed(&mut self, embedding: Weight, positions: Option<Weight>) {
        let weights = &self.shared.weights;
        let (embedding, positions) = (
            weights.plain(embedding),
            positions.map(|w| weights.plain(w)),
        );
        self.for_each_slot(|slot| {
            let mut out = slot.memory.take(Buffer::Input);
            let tokens = slot.memory.get_integers(Buffer::Tokens, 0);
            let prefix = slot.memory.get(Buffer::Prefix, 0);
            embed::embed(
                &slot.memory.dims,
                tokens,
                prefix,
                embedding,
                positions,
                &mut out,
            );
            slot.memory.put(Buffer::Input, out);
        });
    }

    fn token_mix(&mut self, weights: [Weight; 2], sources: &[Buffer], out: Buffer) {
        let (d, simd) = (self.dims(), self.shared.simd);
        let weights = weights.map(|w| self.shared.weights.matrix(w));
        let grid = TileGrid::new(d.positions, d.hidden, d.positions, simd.cols());
        let compute = |slot: &Slot, index: &TileIndex, tile: Tile<'_>, scratch: &mut Scratch| {
            let sources = slot.sum(sources);
            token_mix::token_mix(&d, simd, &sources, index.cols.start, weights, tile, scratch);
        };
        self.tiles(Output::Buffer(out), &grid, compute, None);
    }

    fn qkv_rope(&mut self, qkv: Weight, sources: &[Buffer]) {
        let matrix = self.shared.weights.matrix(qkv);
        self.build_input_rows(sources, matrix);
        let (d, simd, rope) = (self.dims(), self.shared.simd, self.shared.rope.as_ref());
        let block = block_size(
            simd,
            [d.positions, d.hidden, 3 * d.hidden],
            head_block_cols(&d, simd),
            self.live.len(),
            self.scope.threads(),
        );
        let compute = |slot: &Slot, index: &TileIndex, tile: Tile<'_>, _: &mut Scratch| {
            let rows = input_rows(simd, slot, sources, matrix);
            qkv_rope(&d, simd, rows, matrix, rope, index, tile);
        };
        let grid = HeadBlocks::grid(&d, simd, block.rows);
        self.tiles(Output::Heads, &grid, compute, None);
    }

    fn attention(&mut self, out: Buffer) {
        let (d, simd) = (self.dims(), self.shared.simd);
        if self.shared.uses_int16_attention() {
            return self.attention_int16(&d, out);
        }
        let grid = TileGrid::new(d.positions, d.hidden, simd.cols(), d.head_dim());
        let compute = |slot: &Slot, index: &TileIndex, tile: Tile<'_>, scratch: &mut Scratch| {
            if let Some(heads) = &slot.heads {
                attention::attention(&d, simd, heads, index, tile, scratch);
            }
        };
        self.tiles(Output::Buffer(out), &grid, compute, None);
    }

    fn attention_int16(&mut self, d: &Dims, out: Buffer) {
        let simd = self.shared.simd;
        let pack = |slot: &Slot, index: &TileIndex, tile: Tile<'_>, scratch: &mut Scratch| {
            if let Some(heads) = &slot.heads {
                attention_int16::pack(d, simd, heads, index, tile, scratch);
            }
        };
        let grid = attention_int16::packed_grid(d, simd);
        self.tiles(Output::KeysValues, &grid, pack, None);
        let compute = |slot: &Slot, index: &TileIndex, tile: Tile<'_>, scratch: &mut Scratch| {
            if let Some(heads) = &slot.heads {
                let operands = (heads, &slot.keys_values[..]);
                attention_int16::attention(d, simd, operands, index, tile, scratch);
            }
        };
        let grid = attention_int16::grid(d, simd);
        self.tiles(Output::Buffer(out), &grid, compute, None);
    }

    fn swiglu(&mut self, gate_up: Weight, sources: &[Buffer], out: Buffer) {
        let (d, simd) = (self.dims(), self.shared.simd);
        let matrix = self.shared.weights.matrix(gate_up);
        self.build_input_rows(sources, matrix);
        let inner = out.len(&d) / d.positions;
        let grid = self.product_grid([d.positions, d.hidden, inner], simd.cols() / 2);
        let compute = |slot: &Slot, index: &TileIndex, tile: Tile<'_>, _: &mut Scratch| {
            let rows = input_rows(simd, slot, sources, matrix);
            swiglu(simd, rows, matrix, index, tile);
        };
        self.tiles(Output::Buffer(out), &grid, compute, None);
    }

    fn unit_sums(&mut self, input: Buffer, out: Buffer) {
        let d = self.dims();
        let compute = |slot: &Slot, index: &TileIndex, tile: Tile<'_>, scratch: &mut Scratch| {
            unit_sums::unit_sums(&d, slot.memory.get(input, 0), index, tile, scratch);
        };
        self.tiles(Output::Buffer(out), &unit_sums::grid(&d), compute, None);
    }

    fn project_add_norm(
        &mut self,
        weight: Weight,
        input: Buffer,
        residuals: &[Buffer],
        out: Buffer,
    ) {
        let (d, simd) = (self.dims(), self.shared.simd);
        let matrix = self.shared.weights.matrix(weight);
        self.build_input_rows(&[input], matrix);
        let grid = self.product_grid([d.positions, matrix.k(), d.hidden], simd.cols());
        let compute = |slot: &Slot, index: &TileIndex, tile: Tile<'_>, _: &mut Scratch| {
            let rows = input_rows(simd, slot, &[input], matrix);
            project(simd, rows, matrix, index, tile);
        };
        let epilogue = |slot: &Slot, index: &TileIndex, rows: Tile<'_>| {
            add_norm(&d, simd, &slot.sum(residuals), index, rows);
        };
        self.tiles(Output::Buffer(out), &grid, compute, Some(&epilogue));
    }

    fn halt(&mut self, weight: Weight, bias: Weight, state: Buffer) {
        let [weight, bias] = [weight, bias].map(|w| self.shared.weights.plain(w));
        self.for_each_slot(|slot| {
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
        let (d, simd) = (self.dims(), self.shared.simd);
        let matrix = self.shared.weights.matrix(weight);
        let all_cols = d.vocab.next_multiple_of(simd.cols());
        let grid = TileGrid::new(d.tokens, d.vocab, 2 * simd.rows(), all_cols);
        let compute = |slot: &Slot, index: &TileIndex, tile: Tile<'_>, scratch: &mut Scratch| {
            let cells = &slot.memory.get(state, 0)[d.prefix * d.hidden..];
            if d.symbols > 0 {
                decode::symbol_logits(&d, simd, cells, matrix, index, tile, scratch);
            } else {
                project(simd, InputRows::F32(cells), matrix, index, tile);
            }
        };
        self.tiles(Output::Buffer(Buffer::Logits), &grid, compute, None);
        self.for_each_slot(|slot| {
            let mut answer = slot.memory.take_integers(Buffer::Answer);
            decode::decode(&d, slot.memory.get(Buffer::Logits, 0), &mut answer);
            slot.memory.put_integers(Buffer::Answer, answer);
        });
    }

    /// Sums and quantises the input rows of a product with `matrix`, unless it reads a plan buffer.
    fn build_input_rows(&mut self, sources: &[Buffer], matrix: Matrix<'_>) {
        let simd = self.shared.simd;
        let Some(grid) = input_grid(&self.dims(), simd, sources, matrix) else {
            return;
        };
        let compute = |slot: &Slot, index: &TileIndex, tile: Tile<'_>, scratch: &mut Scratch| {
            write_input_rows(simd, slot, sources, matrix, index, tile, scratch);
        };
        self.tiles(Output::InputRows, &grid, compute, None);
    }

    /// Returns the grid of a product of `[rows, k]` with `[k, cols]`, whose columns are divided in
    /// multiples of `unit`.
    fn product_grid(&self, [rows, k, cols]: [usize; 3], unit: usize) -> TileGrid {
        let block = block_size(
            self.shared.simd,
            [rows, k, cols],
            unit,
            self.live.len(),
            self.scope.threads(),
        );
        TileGrid::new(rows, cols, block.rows, block.cols)
    }

    fn dims(&self) -> Dims {
        self.slots[self.live[0]].memory.dims
    }
}
