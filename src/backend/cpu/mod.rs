//! The fast CPU: every kernel over tiles of a slot's rows or channels, spread over a team of threads.
//!
//! Each element of a product is one sum in one order, whichever tile it falls into, and a row or channel is normed as a whole: so an answer
//! depends neither on the batch nor on the number of threads, bit for bit. The weights are packed once for the instruction set.

mod aligned;
mod attention;
mod cores;
mod decode;
mod embed;
mod halt;
mod heads;
mod instructions;
mod packed;
mod project;
mod project_add_norm;
mod qkv_rope;
mod simd;
mod swiglu;
mod token_mix;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::slots::{Kernels, OnHost, Slots};
use super::{Backend, Loaded, Program};
use crate::error::{Error, Result};
use crate::plan::{Buffer, Call, Plan};
use crate::weights::{Weight, Weights};
use aligned::Aligned;
pub use cores::physical_cores;
use heads::Heads;
pub use instructions::Instructions;
use packed::{Packed, cut};
use qkv_rope::Rope;
use simd::{Grid, Shift, Simd, Sum, Team, for_each_tile};

/// The fast CPU backend, with a team of threads of its own.
#[derive(Debug, Clone)]
pub struct Cpu {
    team: Arc<Team>,
    simd: Simd,
    instructions: Instructions,
}

impl Cpu {
    /// A team of `threads`, or of one for each [core](physical_cores), with the [chosen](Instructions::chosen) instruction set.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) for no or more than 1024 threads, [`ErrorKind::Device`](crate::ErrorKind::Device)
    /// if the system refuses to start them; those of [`Instructions::chosen`].
    pub fn new(threads: Option<usize>) -> Result<Cpu> {
        Cpu::with(threads, Instructions::chosen()?)
    }

    /// The same with an instruction set of one's choice.
    ///
    /// # Errors
    /// As for [`Cpu::new`]; [`ErrorKind::Device`](crate::ErrorKind::Device) if the machine lacks it.
    pub fn with(threads: Option<usize>, instructions: Instructions) -> Result<Cpu> {
        let threads = threads.unwrap_or_else(|| physical_cores().min(1024));
        if !(1..=1024).contains(&threads) {
            return Err(Error::argument(format!(
                "{threads} threads: give a number from 1 to 1024"
            )));
        }
        Ok(Cpu {
            simd: instructions.simd()?,
            team: Arc::new(Team::new(threads)?),
            instructions,
        })
    }

    /// Threads in the team.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// The instruction set that the loops use.
    pub fn instructions(&self) -> Instructions {
        self.instructions
    }
}

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn load(&self, weights: Weights) -> Result<Arc<dyn Loaded>> {
        let packed = weights.into_tensors();
        let packed = packed.map(|(weight, tensor)| (weight, Packed::of(weight, tensor, self.simd)));
        Ok(Arc::new(CpuWeights {
            weights: Arc::new(packed.collect()),
            cpu: self.clone(),
        }))
    }
}

type Prepared = HashMap<Weight, Packed>;

#[derive(Debug)]
struct CpuWeights {
    cpu: Cpu,
    weights: Arc<Prepared>,
}

impl Loaded for CpuWeights {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>> {
        let d = &plan.dims;
        let attends = plan
            .calls
            .iter()
            .any(|c| matches!(c, Call::QkvRope { .. } | Call::Attention { .. }));
        let own = if attends { slots } else { 0 };
        let kernels = CpuKernels {
            team: self.cpu.team.clone(),
            simd: self.cpu.simd,
            weights: self.weights.clone(),
            rope: Rope::of(d),
            heads: Heads::new(d, self.cpu.simd, own),
            sums: Aligned::zeros(Buffer::Input.len(d) * own),
            left: Vec::new(),
        };
        Ok(Box::new(OnHost::new(plan, slots, kernels)))
    }
}

#[derive(Debug)]
struct CpuKernels {
    team: Arc<Team>,
    simd: Simd,
    weights: Arc<Prepared>,
    rope: Option<Rope>,
    /// Queries, keys and values.
    heads: Heads,
    /// The sum of the sources of [`qkv_rope`], `[L, D]` a slot.
    sums: Aligned,
    /// What is left to do of blocks of rows, for [`for_each_tile`].
    left: Vec<AtomicUsize>,
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
            self.heads
                .exchange(&memory.dims, slot, &mut rows[slot * len..][..len], out);
        }
        memory.put(Buffer::Qkv, rows);
    }

    /// Runs one call for all live slots. The output is taken out of the memory meanwhile: no call reads what it writes.
    fn call(&mut self, call: &Call, memory: &mut Slots, live: &[usize], shift: &mut Shift<'_>) {
        let target = target(call);
        let mut out = memory.take(target);
        match call {
            Call::Embed { embedding, positions } => {
                let d = &memory.dims;
                let positions = positions.map(|w| self.weights[&w].get());
                for &slot in live {
                    embed::embed(
                        d,
                        memory.get_integers(Buffer::Tokens, slot),
                        memory.get(Buffer::Prefix, slot),
                        self.weights[embedding].get(),
                        positions,
                        &mut out[slot * target.len(d)..][..target.len(d)],
                    );
                }
            }
            Call::Halt { weight, bias, state } => {
                for &slot in live {
                    let state = memory.get(*state, slot);
                    let (weight, bias) = (self.weights[weight].get(), self.weights[bias].get());
                    halt::halt(&memory.dims, state, weight, bias, &mut out[2 * slot..][..2]);
                }
            }
            Call::QkvRope { qkv, sources, .. } => self.qkv_rope(*qkv, sources, memory, live, shift),
            _ => self.tiles(call, memory, live, shift, &mut out),
        }
        if matches!(call, Call::Decode { .. }) {
            let d = memory.dims;
            let mut answer = memory.take_integers(Buffer::Answer);
            for &slot in live {
                let logits = &out[slot * d.tokens * d.vocab..][..d.tokens * d.vocab];
                decode::decode(&d, logits, &mut answer[slot * d.tokens..][..d.tokens]);
            }
            memory.put_integers(Buffer::Answer, answer);
        }
        memory.put(target, out);
    }

    /// The kernels whose output is cut into tiles.
    fn tiles(&mut self, call: &Call, memory: &Slots, live: &[usize], shift: &mut Shift<'_>, out: &mut [f32]) {
        let (d, simd, weights) = (&memory.dims, self.simd, &*self.weights);
        let (threads, left) = (shift.threads(), &mut self.left);
        let grid = |target: Buffer, rows: usize, row_block: usize, col_block: usize| Grid {
            slot_len: target.len(d),
            rows,
            cols: target.len(d) / rows.max(1),
            row_block: row_block.max(1),
            col_block: col_block.max(1),
            stored: None,
        };
        let sum = |sources: &[Buffer], slot| Sum::of(sources.iter().map(|s| memory.get(*s, slot)));
        match call {
            Call::TokenMix {
                gate_up,
                down,
                sources,
                out: target,
            } => {
                let grid = grid(*target, d.positions, d.positions, simd.cols());
                let weights = [&weights[gate_up], &weights[down]];
                for_each_tile(
                    shift,
                    out,
                    &grid,
                    live,
                    left,
                    |place, tile, scratch| {
                        let sources = sum(sources, place.slot);
                        token_mix::token_mix(d, simd, &sources, place.cols.start, weights, tile, scratch);
                    },
                    None,
                );
            }
            Call::Attention { out: target, .. } => {
                let grid = grid(*target, d.positions, simd.cols(), d.head_dim());
                let heads = &self.heads;
                for_each_tile(
                    shift,
                    out,
                    &grid,
                    live,
                    left,
                    |place, tile, scratch| attention::attention(d, simd, heads, place, tile, scratch),
                    None,
                );
            }
            Call::Swiglu {
                gate_up,
                input,
                out: target,
            } => {
                let product = [d.positions, d.hidden, d.inner];
                let cut = cut(simd, product, simd.cols() / 2, live.len(), threads);
                let grid = grid(*target, d.positions, cut.rows, cut.cols);
                let gate_up = &weights[gate_up];
                for_each_tile(
                    shift,
                    out,
                    &grid,
                    live,
                    left,
                    |place, tile, _| {
                        swiglu::swiglu(d, simd, memory.get(*input, place.slot), gate_up, place, tile);
                    },
                    None,
                );
            }
            Call::ProjectAddNorm {
                weight,
                input,
                residuals,
                out: target,
            } => {
                let weight = &weights[weight];
                let product = [d.positions, weight.k, d.hidden];
                let cut = cut(simd, product, simd.cols(), live.len(), threads);
                let grid = grid(*target, d.positions, cut.rows, cut.cols);
                for_each_tile(
                    shift,
                    out,
                    &grid,
                    live,
                    left,
                    |place, tile, _| {
                        project::project(simd, memory.get(*input, place.slot), weight, place, tile);
                    },
                    Some(&|place, rows| {
                        let residuals = sum(residuals, place.slot);
                        project_add_norm::add_norm(d, simd, &residuals, place, rows);
                    }),
                );
            }
            Call::Decode { weight, state } => {
                let weight = &weights[weight];
                let grid = grid(Buffer::Logits, d.tokens, 2 * simd.rows(), d.vocab);
                for_each_tile(
                    shift,
                    out,
                    &grid,
                    live,
                    left,
                    |place, tile, _| {
                        let cells = &memory.get(*state, place.slot)[d.prefix * d.hidden..];
                        project::project(simd, cells, weight, place, tile);
                    },
                    None,
                );
            }
            Call::Embed { .. } | Call::Halt { .. } | Call::QkvRope { .. } => {}
        }
    }

    /// Adds up the sources, then projects them into `heads`.
    fn qkv_rope(
        &mut self,
        qkv: Weight,
        sources: &[Buffer],
        memory: &Slots,
        live: &[usize],
        shift: &mut Shift<'_>,
    ) {
        let (d, simd, left) = (&memory.dims, self.simd, &mut self.left);
        let len = Buffer::Input.len(d);
        if sources.len() > 1 {
            let grid = Grid {
                slot_len: len,
                rows: d.positions,
                cols: d.hidden,
                row_block: simd.rows(),
                col_block: d.hidden,
                stored: None,
            };
            for_each_tile(
                shift,
                self.sums.get_mut(),
                &grid,
                live,
                left,
                |place, tile, _| {
                    let sum = Sum::of(sources.iter().map(|s| memory.get(*s, place.slot)));
                    simd.write_sum(&sum, place.rows.start * d.hidden, d.hidden, tile);
                },
                None,
            );
        }
        let unit = packed::head_unit(d, simd);
        let cut = cut(
            simd,
            [d.positions, d.hidden, 3 * d.hidden],
            unit,
            live.len(),
            shift.threads(),
        );
        let grid = self.heads.grid(d, cut.rows);
        let (weight, rope, sums) = (&self.weights[&qkv], self.rope.as_ref(), self.sums.get());
        for_each_tile(
            shift,
            self.heads.data.get_mut(),
            &grid,
            live,
            left,
            |place, tile, _| {
                let s = match *sources {
                    [only] => memory.get(only, place.slot),
                    _ => &sums[place.slot * len..][..len],
                };
                qkv_rope::qkv_rope(d, simd, s, weight, rope, place, tile);
            },
            None,
        );
    }
}
