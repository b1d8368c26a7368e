//! Sizes, random weights and random inputs of plans that call single kernels.

use std::collections::HashMap;

use trm_runtime::low_level::backend::SlotInput;
use trm_runtime::low_level::config::{Level, State};
use trm_runtime::low_level::plan::{Buffer, Dims};
use trm_runtime::low_level::weights::{Tensor, Weight};

use crate::noise::Noise;

pub(crate) const Z_H: Buffer = Buffer::State(State::H);
pub(crate) const Z_L: Buffer = Buffer::State(State::L);

/// The sizes `[P, S, D, heads, I, T, V]`, without rotary positions.
pub(crate) fn dims([prefix, tokens, hidden, heads, inner, token_inner, vocab]: [usize; 7]) -> Dims {
    Dims {
        tokens,
        prefix,
        positions: prefix + tokens,
        hidden,
        vocab,
        inner,
        token_inner,
        symbols: 0,
        mixer_inner: 0,
        box_shape: [0, 0],
        heads,
        eps: 1e-5,
        rope_theta: None,
    }
}

/// The sizes `[K, box rows, box columns, D, I, M]` of a model with a symbol axis.
pub(crate) fn symbol_dims([symbols, rows, cols, hidden, inner, mixer_inner]: [usize; 6]) -> Dims {
    let cells = symbols * symbols;
    Dims {
        positions: symbols * cells,
        symbols,
        mixer_inner,
        box_shape: [rows, cols],
        ..dims([0, cells, hidden, 1, inner, 0, symbols + 2])
    }
}

/// The same sizes with rotary positions.
pub(crate) fn with_rope(d: Dims) -> Dims {
    Dims {
        rope_theta: Some(10_000.0),
        ..d
    }
}

/// Random weights of one block and of everything outside the blocks.
pub(crate) fn tensors(d: &Dims, noise: &mut Noise) -> HashMap<Weight, Tensor> {
    let (l, h, v, i, t) = (d.positions, d.hidden, d.vocab, d.inner, d.token_inner);
    let (net, block) = (Level::L, 0);
    let m = d.mixer_inner;
    // A model with a symbol axis has one row for each role of a cell, and one for all symbols.
    let [embedded, answers] = if d.symbols > 0 { [3, 1] } else { [v, v] };
    let shapes = [
        (Weight::EmbedTokens, vec![embedded, h]),
        (Weight::EmbedPos, vec![l, h]),
        (Weight::LmHead, vec![answers, h]),
        (Weight::QHead, vec![2, h]),
        (Weight::QHeadBias, vec![2]),
        (Weight::Qkv(net, block), vec![3 * h, h]),
        (Weight::OProj(net, block), vec![h, h]),
        (Weight::TokenGateUp(net, block), vec![2 * t, l]),
        (Weight::TokenDown(net, block), vec![l, t]),
        (Weight::GateUp(net, block), vec![2 * i, h]),
        (Weight::Down(net, block), vec![h, i]),
    ];
    let of_units = [
        (Weight::UnitGateUp(net, block), vec![2 * m, h]),
        (Weight::UnitDown(net, block), vec![h, m]),
    ];
    let of_units = of_units.into_iter().filter(|_| m > 0);
    let made = shapes.into_iter().chain(of_units).map(|(weight, shape)| {
        let scale = 1.7 / (*shape.last().unwrap() as f32).sqrt();
        let data = noise.values(shape.iter().product());
        let data = data.into_iter().map(|v| v * scale).collect();
        (weight, Tensor { shape, data })
    });
    made.collect()
}

/// Random tokens, prefix and states of `slots` puzzles.
pub(crate) fn cases(
    d: &Dims,
    states: &[Buffer],
    slots: usize,
    noise: &mut Noise,
) -> Vec<SlotInput> {
    let state = |noise: &mut Noise| noise.values(d.positions * d.hidden);
    let mut case = || SlotInput {
        tokens: (0..d.tokens).map(|_| noise.below(d.vocab) as u32).collect(),
        prefix: noise.values(d.prefix * d.hidden),
        states: states.iter().map(|&s| (s, state(noise))).collect(),
    };
    (0..slots).map(|_| case()).collect()
}
