//! The oracle: every kernel as plain loops over one slot, one file each, written to be read and never optimised.

mod attention;
mod decode;
mod embed;
mod halt;
mod project_add_norm;
mod qkv_rope;
mod swiglu;
mod token_mix;

use std::ops::Range;
use std::sync::Arc;

use super::slots::Slots;
use super::{Backend, Loaded, Program};
use crate::error::Result;
use crate::plan::{Buffer, Call, Plan};
use crate::weights::{Weight, Weights};

/// The oracle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference;

impl Backend for Reference {
    fn name(&self) -> &str {
        "reference"
    }

    fn load(&self, weights: Weights) -> Result<Arc<dyn Loaded>> {
        Ok(Arc::new(ReferenceWeights(Arc::new(weights))))
    }
}

#[derive(Debug)]
struct ReferenceWeights(Arc<Weights>);

impl Loaded for ReferenceWeights {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>> {
        let memory = Slots::new(&plan, slots);
        Ok(Box::new(ReferenceProgram {
            weights: self.0.clone(),
            plan,
            memory,
        }))
    }
}

#[derive(Debug)]
struct ReferenceProgram {
    weights: Arc<Weights>,
    plan: Arc<Plan>,
    memory: Slots,
}

impl ReferenceProgram {
    fn weight(&self, weight: Weight) -> &[f32] {
        &self.weights.get(weight).data
    }

    /// The sum of some buffers, element by element, from left to right.
    fn sum(&self, sources: &[Buffer], slot: usize) -> Vec<f32> {
        let mut sum = self.memory.get(sources[0], slot).to_vec();
        for &source in &sources[1..] {
            sum.iter_mut()
                .zip(self.memory.get(source, slot))
                .for_each(|(s, v)| *s += v);
        }
        sum
    }

    fn call(&mut self, call: &Call, slot: usize) -> Result<()> {
        let d = &self.plan.dims;
        let value = match call {
            Call::Embed { embedding, positions } => embed::embed(
                d,
                self.memory.get_integers(Buffer::Tokens, slot),
                self.memory.get(Buffer::Prefix, slot),
                self.weight(*embedding),
                positions.map(|w| self.weight(w)),
            ),
            Call::TokenMix {
                gate_up,
                down,
                sources,
                ..
            } => token_mix::token_mix(
                d,
                &self.sum(sources, slot),
                self.weight(*gate_up),
                self.weight(*down),
            ),
            Call::QkvRope { qkv, sources, .. } => {
                qkv_rope::qkv_rope(d, &self.sum(sources, slot), self.weight(*qkv))
            }
            Call::Attention { qkv, .. } => attention::attention(d, self.memory.get(*qkv, slot)),
            Call::Swiglu { gate_up, input, .. } => {
                swiglu::swiglu(d, self.memory.get(*input, slot), self.weight(*gate_up))
            }
            Call::ProjectAddNorm {
                weight,
                input,
                residuals,
                ..
            } => project_add_norm::project_add_norm(
                d,
                self.memory.get(*input, slot),
                self.weight(*weight),
                &self.sum(residuals, slot),
            ),
            Call::Halt { weight, bias, state } => halt::halt(
                d,
                self.memory.get(*state, slot),
                self.weight(*weight),
                self.weight(*bias),
            ),
            Call::Decode { weight, state } => {
                let (logits, answer) = decode::decode(d, self.memory.get(*state, slot), self.weight(*weight));
                self.memory.write_integers(Buffer::Answer, slot, &answer)?;
                logits
            }
        };
        self.memory.write(call.writes()[0], slot, &value)
    }
}

impl Program for ReferenceProgram {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn run(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()> {
        let plan = self.plan.clone();
        for call in &plan.calls[calls] {
            for &slot in live {
                self.call(call, slot)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> Result<()> {
        self.memory.write(buffer, slot, values)
    }

    fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> Result<()> {
        self.memory.read(buffer, slot, values)
    }

    fn write_integers(&mut self, buffer: Buffer, slot: usize, values: &[u32]) -> Result<()> {
        self.memory.write_integers(buffer, slot, values)
    }

    fn read_integers(&self, buffer: Buffer, slot: usize, values: &mut [u32]) -> Result<()> {
        self.memory.read_integers(buffer, slot, values)
    }
}

/// `weight x` for a weight `[rows, x.len()]`.
fn project(weight: &[f32], x: &[f32]) -> Vec<f32> {
    weight.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `silu(gate) * up` of the halves of `gate_up`.
fn gated(gate_up: &[f32]) -> Vec<f32> {
    let (gate, up) = gate_up.split_at(gate_up.len() / 2);
    gate.iter()
        .zip(up)
        .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
        .collect()
}

/// Divides by the root mean square; no weights.
fn rms_norm(x: &mut [f32], eps: f32) {
    let scale = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    x.iter_mut().for_each(|v| *v *= scale);
}
