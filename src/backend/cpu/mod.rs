//! The fast CPU: every kernel over tiles of a slot's rows (or channels), spread over a team of threads.
//!
//! A tile's size follows from the model's sizes alone, never from the batch or the number of threads, and a tile is computed by
//! one thread: so an answer depends on neither, bit for bit.

mod attention;
mod decode;
mod embed;
mod halt;
mod project_add_norm;
mod qkv_rope;
mod simd;
mod swiglu;
mod tiles;
mod token_mix;

use std::collections::HashMap;
use std::sync::Arc;

use rayon::ThreadPool;

use super::slots::{Kernels, OnHost, Slots};
use super::{Backend, Loaded, Program};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Buffer, Call, Plan};
use crate::weights::{Tensor, Weight, Weights};
use qkv_rope::Rope;
use tiles::{Sum, row_tile, run_tiles};

/// The fast CPU backend, with a team of threads of its own.
#[derive(Debug, Clone)]
pub struct Cpu {
    team: Arc<ThreadPool>,
}

impl Cpu {
    /// A team of `threads`, or of as many as the machine runs at once.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] for no or more than 1024 threads, [`ErrorKind::Device`] if the system refuses to start them.
    pub fn new(threads: Option<usize>) -> Result<Cpu> {
        let threads =
            threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get().min(1024)));
        if !(1..=1024).contains(&threads) {
            return Err(Error::argument(format!(
                "{threads} threads: give a number from 1 to 1024"
            )));
        }
        let team = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("trm-{i}"))
            .build()
            .map_err(|e| Error::new(ErrorKind::Device, "no threads could be started").because(e))?;
        Ok(Cpu { team: Arc::new(team) })
    }

    /// Threads in the team.
    pub fn threads(&self) -> usize {
        self.team.current_num_threads()
    }
}

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn load(&self, weights: Weights) -> Result<Arc<dyn Loaded>> {
        let prepared = |(weight, tensor): (Weight, Tensor)| {
            (
                weight,
                if is_turned(weight) {
                    transpose(&tensor)
                } else {
                    tensor.data
                },
            )
        };
        let weights = weights.into_tensors().map(prepared).collect();
        Ok(Arc::new(CpuWeights {
            team: self.team.clone(),
            weights: Arc::new(weights),
        }))
    }
}

/// The weights as the products want them: projections of rows, `[N, K]`, are transposed to `[K, N]`. A product then reads them as
/// they lie, where it would otherwise transpose them anew each time (a third of a step).
type Prepared = HashMap<Weight, Vec<f32>>;

/// Whether a weight stands on the right of its products.
fn is_turned(weight: Weight) -> bool {
    matches!(
        weight,
        Weight::Qkv(..) | Weight::OProj(..) | Weight::GateUp(..) | Weight::Down(..) | Weight::LmHead
    )
}

fn transpose(tensor: &Tensor) -> Vec<f32> {
    let columns = tensor.shape.last().copied().unwrap_or(1).max(1);
    (0..columns)
        .flat_map(|c| tensor.data.iter().skip(c).step_by(columns).copied())
        .collect()
}

#[derive(Debug)]
struct CpuWeights {
    team: Arc<ThreadPool>,
    weights: Arc<Prepared>,
}

impl Loaded for CpuWeights {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>> {
        let kernels = CpuKernels {
            team: self.team.clone(),
            weights: self.weights.clone(),
            rope: Rope::of(&plan.dims),
            channels: Vec::new(),
        };
        Ok(Box::new(OnHost::new(plan, slots, kernels)))
    }
}

#[derive(Debug)]
struct CpuKernels {
    team: Arc<ThreadPool>,
    weights: Arc<Prepared>,
    rope: Option<Rope>,
    /// What [`token_mix`] computes channel tile by channel tile, before it is put back into rows.
    channels: Vec<f32>,
}

impl Kernels for CpuKernels {
    fn run(&mut self, calls: &[Call], memory: &mut Slots, live: &[usize]) -> Result<()> {
        let team = self.team.clone();
        // One entry into the team for all calls: entering wakes a thread.
        team.install(|| calls.iter().for_each(|call| self.call(call, memory, live)));
        Ok(())
    }
}

impl CpuKernels {
    fn weight(&self, weight: Weight) -> &[f32] {
        &self.weights[&weight]
    }

    /// Runs one call for all live slots. The output is taken out of the memory meanwhile: no call reads what it writes.
    fn call(&mut self, call: &Call, memory: &mut Slots, live: &[usize]) {
        if let Call::Decode { weight, state } = call {
            return self.decode(*weight, *state, memory, live);
        }
        let target = call.writes()[0];
        let mut out = memory.take(target);
        match call {
            Call::TokenMix {
                gate_up,
                down,
                sources,
                ..
            } => {
                let mut channels = std::mem::take(&mut self.channels);
                token_mix::token_mix(
                    &memory.dims,
                    live,
                    |slot| Sum::of(memory, sources, slot),
                    self.weight(*gate_up),
                    self.weight(*down),
                    &mut channels,
                    &mut out,
                );
                self.channels = channels;
            }
            Call::Halt { weight, bias, state } => {
                for &slot in live {
                    let state = memory.get(*state, slot);
                    halt::halt(
                        &memory.dims,
                        state,
                        self.weight(*weight),
                        self.weight(*bias),
                        &mut out[2 * slot..][..2],
                    );
                }
            }
            _ => self.rows(call, memory, live, target, &mut out),
        }
        memory.put(target, out);
    }

    /// The kernels that work on rows, a tile of rows at a time.
    fn rows(&self, call: &Call, memory: &Slots, live: &[usize], target: Buffer, out: &mut [f32]) {
        let d = &memory.dims;
        let slot_len = target.len(d);
        let width = slot_len / d.positions;
        let tile = if matches!(call, Call::Embed { .. }) {
            d.positions
        } else {
            row_tile(d.positions)
        };
        run_tiles(out, slot_len, tile * width, live, |slot, index, out| {
            let rows = index * tile..index * tile + out.len() / width;
            match call {
                Call::Embed { embedding, positions } => embed::embed(
                    d,
                    memory.get_integers(Buffer::Tokens, slot),
                    memory.get(Buffer::Prefix, slot),
                    self.weight(*embedding),
                    positions.map(|w| self.weight(w)),
                    out,
                ),
                Call::QkvRope { qkv, sources, .. } => {
                    let s = Sum::of(memory, sources, slot);
                    qkv_rope::qkv_rope(d, &s, rows, self.weight(*qkv), self.rope.as_ref(), out);
                }
                Call::Attention { qkv, .. } => attention::attention(d, memory.get(*qkv, slot), rows, out),
                Call::Swiglu { gate_up, input, .. } => {
                    swiglu::swiglu(d, memory.get(*input, slot), rows, self.weight(*gate_up), out);
                }
                Call::ProjectAddNorm {
                    weight,
                    input,
                    residuals,
                    ..
                } => {
                    let s = Sum::of(memory, residuals, slot);
                    let input = memory.get(*input, slot);
                    project_add_norm::project_add_norm(d, input, rows, self.weight(*weight), &s, out);
                }
                Call::TokenMix { .. } | Call::Halt { .. } | Call::Decode { .. } => {}
            }
        });
    }

    fn decode(&self, weight: Weight, state: Buffer, memory: &mut Slots, live: &[usize]) {
        let d = memory.dims;
        let (mut logits, mut answer) = (memory.take(Buffer::Logits), memory.take_integers(Buffer::Answer));
        let slot_len = Buffer::Logits.len(&d);
        run_tiles(&mut logits, slot_len, slot_len, live, |slot, _, out| {
            decode::logits(&d, memory.get(state, slot), self.weight(weight), out);
        });
        for &slot in live {
            decode::decode(
                &d,
                &logits[slot * slot_len..][..slot_len],
                &mut answer[slot * d.tokens..][..d.tokens],
            );
        }
        memory.put(Buffer::Logits, logits);
        memory.put_integers(Buffer::Answer, answer);
    }
}
