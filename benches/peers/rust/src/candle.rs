//! candle: the step as unfused tensor operations, from the checkpoint.
//! RAYON_NUM_THREADS sets its threads.
use std::collections::HashMap;
use std::path::Path;

use candle_core::{D, DType, Device, Result, Tensor};

use crate::case::{Case, Outputs};
use crate::{Fallible, Peer};

pub(crate) struct Candle {
    weights: HashMap<String, Tensor>,
    outer_cycles: usize,
    inner_cycles: usize,
    heads: usize,
    prefix: usize,
    rope: Option<[Tensor; 2]>,
    inputs: [Tensor; 3],
    out: Option<[Tensor; 4]>,
}

impl Candle {
    pub(crate) fn new(directory: &Path, case: &Case) -> Fallible<Candle> {
        let yaml = std::fs::read_to_string(directory.join("all_config.yaml"))?;
        let number = |key: &str| -> Fallible<usize> {
            let line = yaml
                .lines()
                .find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
            Ok(line.ok_or(format!("{key} is missing"))?.parse()?)
        };
        let weights = candle_core::pickle::read_all(directory.join("step_0"))?;
        let without_prefix =
            |name: String| name.trim_start_matches("_orig_mod.model.inner.").to_owned();
        let weights: HashMap<_, _> = weights
            .into_iter()
            .map(|(name, tensor)| (without_prefix(name), tensor))
            .collect();
        let heads = number("num_heads")?;
        let rope = if weights.contains_key("L_level.layers.0.self_attn.o_proj.weight") {
            Some(rope_tables(case.shape[1], case.shape[2] / heads)?)
        } else {
            None
        };
        let state = |values: &[f32]| Tensor::from_slice(values, &case.shape[..], &Device::Cpu);
        Ok(Candle {
            weights,
            outer_cycles: number("H_cycles")?,
            inner_cycles: number("L_cycles")?,
            heads,
            prefix: number("puzzle_emb_len")?,
            rope,
            inputs: [state(&case.z_h)?, state(&case.z_l)?, state(&case.x)?],
            out: None,
        })
    }

    fn linear(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let (b, l, d) = x.dims3()?;
        x.reshape((b * l, d))?
            .matmul(&self.weights[&format!("{name}.weight")].t()?)?
            .reshape((b, l, ()))
    }

    fn swiglu(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let both = self
            .linear(x, &format!("{name}.gate_up_proj"))?
            .chunk(2, D::Minus1)?;
        self.linear(&(both[0].silu()? * &both[1])?, &format!("{name}.down_proj"))
    }

    fn attention(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let (b, l, d) = x.dims3()?;
        let width = d / self.heads;
        let qkv = self
            .linear(x, &format!("{name}.qkv_proj"))?
            .reshape((b, l, 3, self.heads, width))?;
        let part = |i| qkv.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (q, k, v) = (self.apply_rope(part(0)?)?, self.apply_rope(part(1)?)?, part(2)?);
        let scores = (q.matmul(&k.t()?)? * (1.0 / (width as f64).sqrt()))?;
        let shares = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let mixed = shares
            .matmul(&v)?
            .broadcast_div(&shares.sum_keepdim(D::Minus1)?)?;
        self.linear(
            &mixed.transpose(1, 2)?.contiguous()?.reshape((b, l, d))?,
            &format!("{name}.o_proj"),
        )
    }

    fn apply_rope(&self, x: Tensor) -> Result<Tensor> {
        let Some([cosines, sines]) = &self.rope else {
            return Ok(x);
        };
        let halves = x.chunk(2, D::Minus1)?;
        let across = Tensor::cat(&[&halves[1].neg()?, &halves[0]], D::Minus1)?;
        x.broadcast_mul(cosines)? + across.broadcast_mul(sines)?
    }

    fn level(&self, state: &Tensor, update: &Tensor) -> Result<Tensor> {
        let mut x = (state + update)?;
        for layer in 0.. {
            let name = format!("L_level.layers.{layer}");
            if self
                .weights
                .contains_key(&format!("{name}.mlp_t.down_proj.weight"))
            {
                let t = x.transpose(1, 2)?.contiguous()?;
                x = rms_norm((&t + self.swiglu(&t, &format!("{name}.mlp_t"))?)?)?
                    .transpose(1, 2)?
                    .contiguous()?;
            } else if self
                .weights
                .contains_key(&format!("{name}.self_attn.o_proj.weight"))
            {
                x = rms_norm((&x + self.attention(&x, &format!("{name}.self_attn"))?)?)?;
            } else {
                break;
            }
            x = rms_norm((&x + self.swiglu(&x, &format!("{name}.mlp"))?)?)?;
        }
        Ok(x)
    }

    fn run_step(&self) -> Result<[Tensor; 4]> {
        let [z_h, z_l, x] = &self.inputs;
        let (mut z_h, mut z_l) = (z_h.clone(), z_l.clone());
        for _ in 0..self.outer_cycles {
            for _ in 0..self.inner_cycles {
                z_l = self.level(&z_l, &(&z_h + x)?)?;
            }
            z_h = self.level(&z_h, &z_l)?;
        }
        let cells = z_h
            .narrow(1, self.prefix, z_h.dim(1)? - self.prefix)?
            .contiguous()?;
        let answer = self.linear(&cells, "lm_head")?.argmax(D::Minus1)?;
        let first = z_h.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
        let halting = first
            .matmul(&self.weights["q_head.weight"].t()?)?
            .broadcast_add(&self.weights["q_head.bias"])?;
        Ok([z_h, z_l, halting, answer])
    }
}

/// RMSNorm over the last dimension.
fn rms_norm(x: Tensor) -> Result<Tensor> {
    x.broadcast_div(&(x.sqr()?.mean_keepdim(D::Minus1)? + 1e-5)?.sqrt()?)
}

/// Returns the cosines and sines of the rotary embedding, `[L, width]`, equal in both halves of a
/// head.
fn rope_tables(positions: usize, width: usize) -> Result<[Tensor; 2]> {
    let angle = |i: usize| {
        let pair = (i % width) % (width / 2);
        (i / width) as f64 * 10000f64.powf(-2.0 * pair as f64 / width as f64)
    };
    let table = |f: fn(f64) -> f64| {
        Tensor::from_iter((0..positions * width).map(|i| f(angle(i)) as f32), &Device::Cpu)?
            .reshape((positions, width))
    };
    Ok([table(f64::cos)?, table(f64::sin)?])
}

impl Peer for Candle {
    fn step(&mut self) -> Fallible<()> {
        self.out = Some(self.run_step()?);
        Ok(())
    }

    fn outputs(&mut self) -> Fallible<Outputs> {
        let [z_h, z_l, halting, answer] = self.out.as_ref().ok_or("no step was taken")?;
        let floats = |t: &Tensor| -> Fallible<Vec<f32>> { Ok(t.flatten_all()?.to_vec1()?) };
        Ok(Outputs {
            states: [floats(z_h)?, floats(z_l)?],
            halting: floats(halting)?,
            answer: answer.flatten_all()?.to_dtype(DType::I64)?.to_vec1()?,
        })
    }
}
