//! Runs calls: cuts each into tiles and gives them to the team.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::aligned::Aligned;
use super::attention::attention;
use super::cut::{cut, head_unit};
use super::heads::Heads;
use super::packed::{Matrix, Prepared};
use super::project::{Rows, project};
use super::project_add_norm::add_norm;
use super::qkv_rope::{Rope, qkv_rope};
use super::simd::{Finish, Grid, Place, Scratch, Shift, Simd, Sum, Team, Tile, for_each_tile};
use super::swiglu::swiglu;
use super::token_mix::token_mix;
use super::{decode, embed, halt};
use crate::backend::slots::{Kernels, Slots};
use crate::error::Result;
use crate::plan::{Buffer, Call, Plan};
use crate::weights::Weight;

/// What a program has beside its buffers.
#[derive(Debug)]
pub(super) struct CpuKernels {
    team: Arc<Team>,
    simd: Simd,
    weights: Arc<Prepared>,
    rope: Option<Rope>,
    /// Queries, keys and values.
    heads: Heads,
    /// The rows that a product reads where they are no buffer's: the sum of some, or quantised.
    rows: Aligned,
    /// What is left to do of blocks of rows, for [`for_each_tile`].
    left: Vec<AtomicUsize>,
}

impl CpuKernels {
    /// Room for so many slots of a plan.
    pub(super) fn new(
        team: Arc<Team>,
        simd: Simd,
        weights: Arc<Prepared>,
        plan: &Plan,
        slots: usize,
    ) -> CpuKernels {
        let d = &plan.dims;
        let attends = |c: &Call| matches!(c, Call::QkvRope { .. } | Call::Attention { .. });
        let attends = plan.calls.iter().any(attends);
        let row = if weights.has_int8() {
            Simd::int8_stride(d.hidden.max(d.inner)).max(d.hidden)
        } else if attends {
            d.hidden
        } else {
            0
        };
        CpuKernels {
            team,
            simd,
            weights,
            rope: Rope::of(d),
            heads: Heads::new(d, simd, if attends { slots } else { 0 }),
            rows: Aligned::zeros(slots * d.positions * row),
            left: Vec::new(),
        }
    }
}

impl Kernels for CpuKernels {
    fn run(&mut self, calls: &[Call], memory: &mut Slots, live: &[usize]) -> Result<()> {
        let team = self.team.clone();
        let mut shift = team.shift();
        let attends = |call: Option<&Call>| matches!(call, Some(Call::Attention { .. }));
        for (i, call) in calls.iter().enumerate() {
            let before = i.checked_sub(1).and_then(|i| calls.get(i));
            // Between the two, queries, keys and values stay as `heads`; the buffer has them for whoever looks in between.
            if attends(Some(call)) && !matches!(before, Some(Call::QkvRope { .. })) {
                self.exchange(memory, live, false);
            }
            self.call(call, memory, live, &mut shift);
            if matches!(call, Call::QkvRope { .. }) && !attends(calls.get(i + 1)) {
                self.exchange(memory, live, true);
            }
        }
        Ok(())
    }
}

/// The buffer that a call writes, of two the one of `f32`.
fn target(call: &Call) -> Buffer {
    match call {
        Call::Embed { .. } => Buffer::Input,
        Call::TokenMix { out, .. }
        | Call::QkvRope { out, .. }
        | Call::Attention { out, .. }
        | Call::Swiglu { out, .. }
        | Call::ProjectAddNorm { out, .. } => *out,
        Call::Halt { .. } => Buffer::Halting,
        Call::Decode { .. } => Buffer::Logits,
    }
}

impl CpuKernels {
    /// Copies queries, keys and values from `heads` to their buffer, or back.
    fn exchange(&mut self, memory: &mut Slots, live: &[usize], out: bool) {
        let mut rows = memory.take(Buffer::Qkv);
        let len = Buffer::Qkv.len(&memory.dims);
        for &slot in live {
            let share = &mut rows[slot * len..][..len];
            self.heads.exchange(&memory.dims, slot, share, out);
        }
        memory.put(Buffer::Qkv, rows);
    }

    /// Runs one call for all live slots. The output is taken out of the memory meanwhile: no call reads what it writes.
    fn call(&mut self, call: &Call, memory: &mut Slots, live: &[usize], shift: &mut Shift<'_>) {
        let target = target(call);
        let mut out = memory.take(target);
        let mut run = Run {
            memory,
            live,
            shift,
            simd: self.simd,
            weights: &self.weights,
            rows: &mut self.rows,
            left: &mut self.left,
        };
        match call {
            Call::Embed { embedding, positions } => run.embed(*embedding, *positions, &mut out),
            Call::TokenMix {
                gate_up,
                down,
                sources,
                ..
            } => run.token_mix([*gate_up, *down], sources, &mut out),
            Call::QkvRope { qkv, sources, .. } => {
                run.qkv_rope(*qkv, sources, self.rope.as_ref(), &mut self.heads);
            }
            Call::Attention { .. } => run.attention(&self.heads, &mut out),
            Call::Swiglu { gate_up, input, .. } => run.swiglu(*gate_up, *input, &mut out),
            Call::ProjectAddNorm {
                weight,
                input,
                residuals,
                ..
            } => run.project_add_norm(*weight, *input, residuals, &mut out),
            Call::Halt { weight, bias, state } => run.halt(*weight, *bias, *state, &mut out),
            Call::Decode { weight, state } => run.decode(*weight, *state, &mut out),
        }
        memory.put(target, out);
    }
}

/// One call as it runs.
struct Run<'a, 'b> {
    memory: &'a mut Slots,
    live: &'a [usize],
    shift: &'a mut Shift<'b>,
    simd: Simd,
    weights: &'a Prepared,
    rows: &'a mut Aligned,
    left: &'a mut Vec<AtomicUsize>,
}

impl Run<'_, '_> {
    /// A matrix `[rows, cols]` for each slot, cut into tiles.
    fn grid(rows: usize, cols: usize, row_block: usize, col_block: usize) -> Grid {
        Grid {
            slot_len: rows * cols,
            rows,
            cols,
            row_block: row_block.max(1),
            col_block: col_block.max(1),
            stored: None,
        }
    }

    fn embed(&self, embedding: Weight, positions: Option<Weight>, out: &mut [f32]) {
        let (d, len) = (&self.memory.dims, Buffer::Input.len(&self.memory.dims));
        for &slot in self.live {
            embed::embed(
                d,
                self.memory.get_integers(Buffer::Tokens, slot),
                self.memory.get(Buffer::Prefix, slot),
                self.weights.plain(embedding),
                positions.map(|w| self.weights.plain(w)),
                &mut out[slot * len..][..len],
            );
        }
    }

    fn token_mix(&mut self, [gate_up, down]: [Weight; 2], sources: &[Buffer], out: &mut [f32]) {
        let (d, simd, memory) = (&self.memory.dims, self.simd, &*self.memory);
        let weights = [self.weights.matrix(gate_up), self.weights.matrix(down)];
        let grid = Self::grid(d.positions, d.hidden, d.positions, simd.cols());
        let work = |place: &Place, tile: Tile<'_>, scratch: &mut Scratch| {
            let sources = sum(memory, sources, place.slot);
            token_mix(d, simd, &sources, place.cols.start, weights, tile, scratch);
        };
        for_each_tile(self.shift, out, &grid, self.live, self.left, work, None);
    }

    fn qkv_rope(&mut self, qkv: Weight, sources: &[Buffer], rope: Option<&Rope>, heads: &mut Heads) {
        let matrix = self.weights.matrix(qkv);
        self.prepare(sources, matrix);
        let (d, simd, memory) = (&self.memory.dims, self.simd, &*self.memory);
        let product = [d.positions, d.hidden, 3 * d.hidden];
        let cut = cut(
            simd,
            product,
            head_unit(d, simd),
            self.live.len(),
            self.shift.threads(),
        );
        let (grid, rows) = (heads.grid(d, cut.rows), self.rows.get());
        let work = |place: &Place, tile: Tile<'_>, _: &mut Scratch| {
            let rows = prepared(memory, rows, sources, matrix, place.slot);
            qkv_rope(d, simd, rows, matrix, rope, place, tile);
        };
        for_each_tile(
            self.shift,
            heads.data.get_mut(),
            &grid,
            self.live,
            self.left,
            work,
            None,
        );
    }

    fn attention(&mut self, heads: &Heads, out: &mut [f32]) {
        let (d, simd) = (&self.memory.dims, self.simd);
        let grid = Self::grid(d.positions, d.hidden, simd.cols(), d.head_dim());
        let work = |place: &Place, tile: Tile<'_>, scratch: &mut Scratch| {
            attention(d, simd, heads, place, tile, scratch);
        };
        for_each_tile(self.shift, out, &grid, self.live, self.left, work, None);
    }

    fn swiglu(&mut self, gate_up: Weight, input: Buffer, out: &mut [f32]) {
        let simd = self.simd;
        let (d, half) = (self.memory.dims, simd.cols() / 2);
        self.product(
            gate_up,
            input,
            [d.positions, d.inner],
            half,
            out,
            |rows, matrix, place, tile| {
                swiglu(simd, rows, matrix, place, tile);
            },
            None,
        );
    }

    fn project_add_norm(&mut self, weight: Weight, input: Buffer, residuals: &[Buffer], out: &mut [f32]) {
        let (d, simd) = (self.memory.dims, self.simd);
        let shape = [d.positions, d.hidden];
        let finish = |memory: &Slots, place: &Place, rows: Tile<'_>| {
            add_norm(&d, simd, &sum(memory, residuals, place.slot), place, rows);
        };
        self.product(
            weight,
            input,
            shape,
            simd.cols(),
            out,
            |rows, matrix, place, tile| {
                project(simd, rows, matrix, place, tile);
            },
            Some(&finish),
        );
    }

    fn halt(&self, weight: Weight, bias: Weight, state: Buffer, out: &mut [f32]) {
        let [weight, bias] = [weight, bias].map(|w| self.weights.plain(w));
        for &slot in self.live {
            let state = self.memory.get(state, slot);
            halt::halt(&self.memory.dims, state, weight, bias, &mut out[2 * slot..][..2]);
        }
    }

    fn decode(&mut self, weight: Weight, state: Buffer, out: &mut [f32]) {
        let (d, simd) = (self.memory.dims, self.simd);
        let (matrix, memory) = (self.weights.matrix(weight), &*self.memory);
        let grid = Self::grid(
            d.tokens,
            d.vocab,
            2 * simd.rows(),
            d.vocab.next_multiple_of(simd.cols()),
        );
        let work = |place: &Place, tile: Tile<'_>, _: &mut Scratch| {
            let cells = &memory.get(state, place.slot)[d.prefix * d.hidden..];
            project(simd, Rows::F32(cells), matrix, place, tile);
        };
        for_each_tile(self.shift, out, &grid, self.live, self.left, work, None);
        let mut answer = self.memory.take_integers(Buffer::Answer);
        for &slot in self.live {
            let logits = &out[slot * d.tokens * d.vocab..][..d.tokens * d.vocab];
            decode::decode(&d, logits, &mut answer[slot * d.tokens..][..d.tokens]);
        }
        self.memory.put_integers(Buffer::Answer, answer);
    }

    /// A product of rows, `[rows, cols]`, whose columns stay together in units; `finish` gets whole rows.
    #[allow(clippy::too_many_arguments, reason = "what a product is, once")]
    fn product(
        &mut self,
        weight: Weight,
        input: Buffer,
        [rows, cols]: [usize; 2],
        unit: usize,
        out: &mut [f32],
        compute: impl Fn(Rows<'_>, Matrix<'_>, &Place, Tile<'_>) + Sync,
        finish: Option<&(dyn Fn(&Slots, &Place, Tile<'_>) + Sync)>,
    ) {
        let matrix = self.weights.matrix(weight);
        self.prepare(&[input], matrix);
        let threads = self.shift.threads();
        let cut = cut(
            self.simd,
            [rows, matrix.k(), cols],
            unit,
            self.live.len(),
            threads,
        );
        let grid = Self::grid(rows, cols, cut.rows, cut.cols);
        let (memory, prepared_rows) = (&*self.memory, self.rows.get());
        let work = |place: &Place, tile: Tile<'_>, _: &mut Scratch| {
            let rows = prepared(memory, prepared_rows, &[input], matrix, place.slot);
            compute(rows, matrix, place, tile);
        };
        let finish_rows = |place: &Place, rows: Tile<'_>| {
            if let Some(finish) = finish {
                finish(memory, place, rows);
            }
        };
        let finish_rows: Option<Finish<'_>> = finish.is_some().then_some(&finish_rows);
        for_each_tile(self.shift, out, &grid, self.live, self.left, work, finish_rows);
    }

    /// Adds up and quantises the rows that a product with `matrix` reads, unless they are those of a buffer.
    fn prepare(&mut self, sources: &[Buffer], matrix: Matrix<'_>) {
        let (k, simd, memory) = (matrix.k(), self.simd, &*self.memory);
        let positions = memory.dims.positions;
        match matrix {
            Matrix::F32(_) if sources.len() == 1 => {}
            Matrix::F32(_) => {
                let grid = Self::grid(positions, k, simd.rows(), k);
                let work = |place: &Place, tile: Tile<'_>, _: &mut Scratch| {
                    let sum = sum(memory, sources, place.slot);
                    simd.write_sum(&sum, place.rows.start * k, k, tile);
                };
                for_each_tile(
                    self.shift,
                    self.rows.get_mut(),
                    &grid,
                    self.live,
                    self.left,
                    work,
                    None,
                );
            }
            Matrix::Int8(_) => {
                let stride = Simd::int8_stride(k);
                let grid = Self::grid(positions, stride, simd.rows(), stride);
                let work = |place: &Place, mut tile: Tile<'_>, scratch: &mut Scratch| {
                    let ([row], sum) = (scratch.pieces([k]), sum(memory, sources, place.slot));
                    for (i, position) in place.rows.clone().enumerate() {
                        match *sum.terms() {
                            [only] => simd.quantize_row(&only[position * k..][..k], tile.row(i)),
                            _ => {
                                simd.write_sum(&sum, position * k, k, Tile::of(row, 1, k, k));
                                simd.quantize_row(row, tile.row(i));
                            }
                        }
                    }
                };
                for_each_tile(
                    self.shift,
                    self.rows.get_mut(),
                    &grid,
                    self.live,
                    self.left,
                    work,
                    None,
                );
            }
        }
    }
}

/// The sum of a slot's buffers.
fn sum<'a>(memory: &'a Slots, sources: &[Buffer], slot: usize) -> Sum<'a> {
    Sum::of(sources.iter().map(|s| memory.get(*s, slot)))
}

/// The rows that [`Run::prepare`] has prepared for a product with `matrix`.
fn prepared<'a>(
    memory: &'a Slots,
    rows: &'a [f32],
    sources: &[Buffer],
    matrix: Matrix<'_>,
    slot: usize,
) -> Rows<'a> {
    let (positions, k) = (memory.dims.positions, matrix.k());
    let of_slot = |width: usize| &rows[slot * positions * width..][..positions * width];
    match (matrix, sources) {
        (Matrix::F32(_), [only]) => Rows::F32(memory.get(*only, slot)),
        (Matrix::F32(_), _) => Rows::F32(of_slot(k)),
        (Matrix::Int8(_), _) => Rows::Int8(of_slot(Simd::int8_stride(k))),
    }
}
