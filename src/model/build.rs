//! Writes one refinement step of every published architecture as a list of kernel calls.
//!
//! The formulas are those of "Less is More: Recursive Reasoning with Tiny Networks" (arXiv
//! 2510.04871) and, for HRM, "Hierarchical Reasoning Model" (arXiv 2506.21734). A level `f` is a
//! stack of blocks that is applied to the sum of its sources. The last block of a level writes the
//! state. Only the first block reads the old value of that state.

use crate::config::{Architecture, Config, Level, PosEncodings, State};
use crate::model::plan::{Buffer, Call, Dims, Plan};
use crate::model::weights::Weight;

const X: Buffer = Buffer::Input;
const Z_H: Buffer = Buffer::State(State::H);
const Z_L: Buffer = Buffer::State(State::L);

/// Returns the plan of `config` for puzzles of S = `tokens` tokens: the calls that embed a puzzle
/// once, then one refinement step with both heads.
pub fn build_plan(config: &Config, tokens: usize) -> Plan {
    let positions = (config.pos_encodings == PosEncodings::Learned).then_some(Weight::EmbedPos);
    let mut calls = vec![Call::Embed {
        embedding: Weight::EmbedTokens,
        positions,
    }];
    let embed_calls = calls.len();
    match config.variant {
        Architecture::Trm | Architecture::Symbols => two_states(&mut calls, config, Level::L),
        Architecture::Hrm => two_states(&mut calls, config, Level::H),
        Architecture::SingleZ => single_z(&mut calls, config),
        Architecture::Hier6 => hier6(&mut calls, config),
        Architecture::Baseline => push_level(&mut calls, config, Level::H, &[Z_H, X], Z_H),
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
        embed_calls,
        calls,
    }
}

/// Appends a step of TRM or HRM:
/// `H_cycles x ( L_cycles x z_L = f_L(z_L + z_H + x); z_H = f(z_H + z_L) )`,
/// where `f` is `f_L` in TRM and `f_H` in HRM.
fn two_states(calls: &mut Vec<Call>, c: &Config, answer_level: Level) {
    for _ in 0..c.h_cycles {
        for _ in 0..c.l_cycles {
            push_level(calls, c, Level::L, &[Z_L, Z_H, X], Z_L);
        }
        push_level(calls, c, answer_level, &[Z_H, Z_L], Z_H);
    }
}

/// Appends a step of single-z: `H_cycles x ( L_cycles x z = f(z + x); z = f(z) )`.
fn single_z(calls: &mut Vec<Call>, c: &Config) {
    for _ in 0..c.h_cycles {
        for _ in 0..c.l_cycles {
            push_level(calls, c, Level::L, &[Z_L, X], Z_L);
        }
        push_level(calls, c, Level::L, &[Z_L], Z_L);
    }
}

/// Appends a step of hier6, where `z_1..6` is `z_L1` + .. + `z_L6`:
/// `H_cycles x ( in inner cycle i: z_Li = f(z_1..6 + z_H + x); z_H = f(z_H + z_1..6) )`.
fn hier6(calls: &mut Vec<Call>, c: &Config) {
    let low: Vec<Buffer> = (0..6).map(|i| Buffer::State(State::LowLevel(i))).collect();
    let with = |more: &[Buffer]| [&low[..], more].concat();
    for _ in 0..c.h_cycles {
        for &z in &low[..c.l_cycles.min(low.len())] {
            push_level(calls, c, Level::L, &with(&[Z_H, X]), z);
        }
        push_level(calls, c, Level::L, &with(&[Z_H]), Z_H);
    }
}

/// Appends the blocks of a level, applied to the sum of `sources`. The last block writes `out`.
fn push_level(calls: &mut Vec<Call>, c: &Config, level: Level, sources: &[Buffer], out: Buffer) {
    let layers = if level == Level::H {
        c.h_layers
    } else {
        c.l_layers
    };
    let mut from = sources.to_vec();
    for i in 0..layers {
        let to = if i + 1 == layers { out } else { Buffer::Block };
        push_block(calls, c, level, i, from, to);
        from = vec![to];
    }
}

/// Appends one block: `h = norm(s + mixer(s))`, `out = norm(h + swiglu(h))` (post-norm), where s is
/// the sum of `sources`. The mixer is attention, a SwiGLU over the positions, or messages within
/// the units of a Sudoku.
fn push_block(
    calls: &mut Vec<Call>,
    c: &Config,
    level: Level,
    i: usize,
    sources: Vec<Buffer>,
    out: Buffer,
) {
    if c.variant == Architecture::Symbols {
        calls.push(Call::Swiglu {
            gate_up: Weight::UnitGateUp(level, i),
            sources: sources.clone(),
            out: Buffer::Messages,
        });
        calls.push(Call::UnitSums {
            input: Buffer::Messages,
            out: Buffer::UnitSums,
        });
        calls.push(Call::ProjectAddNorm {
            weight: Weight::UnitDown(level, i),
            input: Buffer::UnitSums,
            residuals: sources,
            out: Buffer::Mixed,
        });
    } else if c.mlp_t {
        let (gate_up, down) = (Weight::TokenGateUp(level, i), Weight::TokenDown(level, i));
        calls.push(Call::TokenMix {
            gate_up,
            down,
            sources,
            out: Buffer::Mixed,
        });
    } else {
        calls.push(Call::QkvRope {
            qkv: Weight::Qkv(level, i),
            sources: sources.clone(),
            out: Buffer::Qkv,
        });
        calls.push(Call::Attention {
            qkv: Buffer::Qkv,
            out: Buffer::Attended,
        });
        calls.push(Call::ProjectAddNorm {
            weight: Weight::OProj(level, i),
            input: Buffer::Attended,
            residuals: sources,
            out: Buffer::Mixed,
        });
    }
    calls.push(Call::Swiglu {
        gate_up: Weight::GateUp(level, i),
        sources: vec![Buffer::Mixed],
        out: Buffer::Gated,
    });
    calls.push(Call::ProjectAddNorm {
        weight: Weight::Down(level, i),
        input: Buffer::Gated,
        residuals: vec![Buffer::Mixed],
        out,
    });
}
