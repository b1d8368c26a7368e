//! The model: a refinement step of every published variant, as a list of kernel calls.
//!
//! The formulas are those of "Less is More: Recursive Reasoning with Tiny Networks" (arXiv 2510.04871) and, for HRM,
//! "Hierarchical Reasoning Model" (arXiv 2506.21734). Every level `f` is a stack of blocks on the sum of its sources; the
//! last block of a level writes the state, whose old value only the first block has read.

use crate::config::{Architecture, Config, Level, PosEncodings, State};
use crate::model::plan::{Buffer, Call, Dims, Plan};
use crate::model::weights::Weight;

const X: Buffer = Buffer::Input;
const Z_H: Buffer = Buffer::State(State::H);
const Z_L: Buffer = Buffer::State(State::L);

/// The plan of `config` for puzzles of S = `tokens` tokens: embed once, then one refinement step with both heads.
pub fn build_plan(config: &Config, tokens: usize) -> Plan {
    let positions = (config.pos_encodings == PosEncodings::Learned).then_some(Weight::EmbedPos);
    let mut calls = vec![Call::Embed {
        embedding: Weight::EmbedTokens,
        positions,
    }];
    let embedding = calls.len();
    match config.variant {
        Architecture::Trm => two_states(&mut calls, config, Level::L),
        Architecture::Hrm => two_states(&mut calls, config, Level::H),
        Architecture::SingleZ => single_z(&mut calls, config),
        Architecture::Hier6 => hier6(&mut calls, config),
        Architecture::Baseline => level(&mut calls, config, Level::H, &[Z_H, X], Z_H),
    }
    let state = Buffer::State(config.answer_state());
    calls.push(Call::Halt {
        weight: Weight::QHead,
        bias: Weight::QHeadBias,
        state,
    });
    calls.push(Call::Decode {
        weight: Weight::LmHead,
        state,
    });
    Plan {
        dims: Dims::new(config, tokens),
        embedding,
        calls,
    }
}

/// TRM and HRM: H_cycles x ( L_cycles x z_L = f_L(z_L + z_H + x); z_H = f(z_H + z_L) ), where f is f_L in TRM, f_H in HRM.
fn two_states(calls: &mut Vec<Call>, c: &Config, net_h: Level) {
    for _ in 0..c.h_cycles {
        for _ in 0..c.l_cycles {
            level(calls, c, Level::L, &[Z_L, Z_H, X], Z_L);
        }
        level(calls, c, net_h, &[Z_H, Z_L], Z_H);
    }
}

/// Single-z: H_cycles x ( L_cycles x z = f(z + x); z = f(z) ).
fn single_z(calls: &mut Vec<Call>, c: &Config) {
    for _ in 0..c.h_cycles {
        for _ in 0..c.l_cycles {
            level(calls, c, Level::L, &[Z_L, X], Z_L);
        }
        level(calls, c, Level::L, &[Z_L], Z_L);
    }
}

/// hier6: H_cycles x ( in inner cycle i: z_Li = f(z_L1 + .. + z_L6 + z_H + x); z_H = f(z_H + z_L1 + .. + z_L6) ).
fn hier6(calls: &mut Vec<Call>, c: &Config) {
    let low: Vec<Buffer> = (0..6).map(|i| Buffer::State(State::LowLevel(i))).collect();
    let with = |more: &[Buffer]| [&low[..], more].concat();
    for _ in 0..c.h_cycles {
        for &z in &low[..c.l_cycles.min(low.len())] {
            level(calls, c, Level::L, &with(&[Z_H, X]), z);
        }
        level(calls, c, Level::L, &with(&[Z_H]), Z_H);
    }
}

/// A network's blocks on the sum of `sources`; the last one writes `out`.
fn level(calls: &mut Vec<Call>, c: &Config, net: Level, sources: &[Buffer], out: Buffer) {
    let layers = if net == Level::H { c.h_layers } else { c.l_layers };
    let mut from = sources.to_vec();
    for i in 0..layers {
        let to = if i + 1 == layers { out } else { Buffer::Block };
        block(calls, c, net, i, from, to);
        from = vec![to];
    }
}

/// One block: `h = norm(s + mixer(s))`, `out = norm(h + swiglu(h))` (post-norm).
fn block(calls: &mut Vec<Call>, c: &Config, net: Level, i: usize, sources: Vec<Buffer>, out: Buffer) {
    if c.mlp_t {
        let (gate_up, down) = (Weight::TokenGateUp(net, i), Weight::TokenDown(net, i));
        calls.push(Call::TokenMix {
            gate_up,
            down,
            sources,
            out: Buffer::Mixed,
        });
    } else {
        calls.push(Call::QkvRope {
            qkv: Weight::Qkv(net, i),
            sources: sources.clone(),
            out: Buffer::Qkv,
        });
        calls.push(Call::Attention {
            qkv: Buffer::Qkv,
            out: Buffer::Attended,
        });
        calls.push(Call::ProjectAddNorm {
            weight: Weight::OProj(net, i),
            input: Buffer::Attended,
            residuals: sources,
            out: Buffer::Mixed,
        });
    }
    calls.push(Call::Swiglu {
        gate_up: Weight::GateUp(net, i),
        input: Buffer::Mixed,
        out: Buffer::Gated,
    });
    calls.push(Call::ProjectAddNorm {
        weight: Weight::Down(net, i),
        input: Buffer::Gated,
        residuals: vec![Buffer::Mixed],
        out,
    });
}
