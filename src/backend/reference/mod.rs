//! The reference backend: every kernel as plain loops over one slot, one kernel per file.
//!
//! The code follows the formulas and is not optimised. Tests compare the other backends with it.

mod attention;
mod decode;
mod embed;
mod halt;
mod project_add_norm;
mod qkv_rope;
mod swiglu;
mod token_mix;
mod unit_sums;

use std::sync::Arc;

use super::host::{HostBuffers, HostKernels, HostProgram};
use super::lockstep::F32_TOLERANCE;
use super::{Backend, DeviceWeights, Program};
use crate::error::Result;
use crate::model::plan::{Buffer, Call, Plan};
use crate::model::weights::{Weight, Weights};

/// The reference backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference;

impl Backend for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn tolerance(&self) -> f32 {
        F32_TOLERANCE
    }

    fn load(&self, weights: Weights) -> Result<Arc<dyn DeviceWeights>> {
        Ok(Arc::new(ReferenceWeights(Arc::new(weights))))
    }
}

#[derive(Debug)]
struct ReferenceWeights(Arc<Weights>);

impl DeviceWeights for ReferenceWeights {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>> {
        let kernels = ReferenceKernels(self.0.clone());
        Ok(Box::new(HostProgram::new(plan, slots, kernels)?))
    }
}

#[derive(Debug)]
struct ReferenceKernels(Arc<Weights>);

impl HostKernels for ReferenceKernels {
    fn run(&mut self, calls: &[Call], memory: &mut HostBuffers, live: &[usize]) -> Result<()> {
        for call in calls {
            for &slot in live {
                self.call(call, memory, slot)?;
            }
        }
        Ok(())
    }
}

impl ReferenceKernels {
    fn weight(&self, weight: Weight) -> &[f32] {
        &self.0.get(weight).data
    }

    fn call(&self, call: &Call, memory: &mut HostBuffers, slot: usize) -> Result<()> {
        let d = &memory.dims;
        let value = match call {
            Call::Embed {
                embedding,
                positions,
            } => embed::embed(
                d,
                memory.get_integers(Buffer::Tokens, slot),
                memory.get(Buffer::Prefix, slot),
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
                &sum(memory, sources, slot),
                self.weight(*gate_up),
                self.weight(*down),
            ),
            Call::QkvRope { qkv, sources, .. } => {
                qkv_rope::qkv_rope(d, &sum(memory, sources, slot), self.weight(*qkv))
            }
            Call::Attention { qkv, .. } => attention::attention(d, memory.get(*qkv, slot)),
            Call::Swiglu {
                gate_up, sources, ..
            } => swiglu::swiglu(d, &sum(memory, sources, slot), self.weight(*gate_up)),
            Call::UnitSums { input, .. } => unit_sums::unit_sums(d, memory.get(*input, slot)),
            Call::ProjectAddNorm {
                weight,
                input,
                residuals,
                ..
            } => project_add_norm::project_add_norm(
                d,
                memory.get(*input, slot),
                self.weight(*weight),
                &sum(memory, residuals, slot),
            ),
            Call::Halt {
                weight,
                bias,
                state,
            } => halt::halt(
                d,
                memory.get(*state, slot),
                self.weight(*weight),
                self.weight(*bias),
            ),
            Call::Decode { weight, state } => {
                let (logits, answer) =
                    decode::decode(d, memory.get(*state, slot), self.weight(*weight));
                memory.write_integers(Buffer::Answer, slot, &answer)?;
                logits
            }
        };
        memory.write(call.writes()[0], slot, &value)
    }
}

/// Sums buffers element by element, from left to right.
fn sum(memory: &HostBuffers, sources: &[Buffer], slot: usize) -> Vec<f32> {
    let mut sum = memory.get(sources[0], slot).to_vec();
    for &source in &sources[1..] {
        sum.iter_mut()
            .zip(memory.get(source, slot))
            .for_each(|(s, v)| *s += v);
    }
    sum
}

/// Returns `weight x`, for a weight `[rows, x.len()]`.
fn project(weight: &[f32], x: &[f32]) -> Vec<f32> {
    weight
        .chunks_exact(x.len())
        .map(|row| dot(row, x))
        .collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Returns `silu(gate) * up`, where gate and up are the halves of `gate_up`.
fn gated(gate_up: &[f32]) -> Vec<f32> {
    let (gate, up) = gate_up.split_at(gate_up.len() / 2);
    gate.iter()
        .zip(up)
        .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
        .collect()
}

/// Divides `x` by its root mean square (RMSNorm without weights). If the sum of squares overflows,
/// all of `x` becomes NaN: divided by infinity it would be 0, and the overflow would be lost.
fn rms_norm(x: &mut [f32], eps: f32) {
    let mean = dot(x, x) / x.len() as f32;
    let scale = if mean.is_finite() {
        1.0 / (mean + eps).sqrt()
    } else {
        f32::NAN
    };
    x.iter_mut().for_each(|v| *v *= scale);
}
