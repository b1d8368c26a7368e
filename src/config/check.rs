//! Checks that need several hyper-parameters of a configuration.

use super::limits::{MAX_CALLS, MAX_DIMENSION, MAX_RUN_CALLS};
use super::{Architecture, Config, PosEncodings, UNITS};
use crate::error::{Error, Hint, Result};

/// Checks that every size is within its limits and that the sizes fit together.
///
/// # Errors
/// A size is 0 or too large, attention heads have an odd size under rotary positions, the model has
/// too many positions, or its steps have too many kernel calls.
pub(super) fn check(config: &Config) -> Result<()> {
    let sizes = [
        ("hidden_size", config.hidden_size),
        ("vocab_size", config.vocab_size),
        ("the inner width of mlp", config.inner),
    ];
    for (name, size) in sizes {
        if size == 0 || size > MAX_DIMENSION {
            return Err(Error::config(format!(
                "{name} is {size}; it must be from 1 to {MAX_DIMENSION}"
            )));
        }
    }
    if config.token_inner > MAX_DIMENSION || (config.mlp_t && config.token_inner == 0) {
        return Err(Error::config(format!(
            "the inner width of mlp_t is {}; it must be from 1 to {MAX_DIMENSION}",
            config.token_inner
        )));
    }
    if config.variant == Architecture::Symbols {
        check_symbols(config)?;
    }
    let head = config.hidden_size / config.num_heads.max(1);
    if config.pos_encodings == PosEncodings::Rope && !config.mlp_t && !head.is_multiple_of(2) {
        return Err(Error::config(format!(
            "num_heads is {}, which makes heads of {head}; rotary positions need an even size",
            config.num_heads
        )));
    }
    let positions = config
        .prefix_len()
        .saturating_add(config.seq_len.unwrap_or(0))
        .saturating_mul(config.symbols().max(1));
    if positions > MAX_DIMENSION {
        return Err(Error::config(format!(
            "the model has {positions} positions; at most {MAX_DIMENSION} are supported"
        )));
    }
    check_work(config)
}

/// Checks the number of kernel calls of a step, and of all steps. Each factor has its own limit,
/// but their product would be endless work.
fn check_work(config: &Config) -> Result<()> {
    let (h, l) = (config.h_cycles, config.l_cycles);
    let blocks = match config.variant {
        Architecture::Trm | Architecture::SingleZ | Architecture::Hier6 | Architecture::Symbols => {
            h * (l + 1) * config.l_layers
        }
        Architecture::Hrm => h * (l * config.l_layers + config.h_layers),
        Architecture::Baseline => config.h_layers,
    };
    let calls_per_block = if config.mlp_t { 3 } else { 5 };
    // Both heads are calls, too.
    let calls = blocks * calls_per_block + 2;
    if calls > MAX_CALLS {
        return Err(Error::config(format!(
            "a refinement step has {calls} kernel calls: H_cycles {h}, L_cycles {l}, {} layers and \
             {calls_per_block} calls for each; at most {MAX_CALLS} are supported",
            config.h_layers + config.l_layers
        )));
    }
    let steps = config.halt_max_steps;
    if calls.saturating_mul(steps) > MAX_RUN_CALLS {
        let example = ("halt_max_steps".to_owned(), "16".to_owned());
        return Err(Error::config(format!(
            "halt_max_steps is {steps}, and a refinement step has {calls} kernel calls: {} calls \
             for a puzzle; at most {MAX_RUN_CALLS} are supported",
            calls.saturating_mul(steps)
        ))
        .with_hint(Hint::SetHyperparameters(vec![example])));
    }
    Ok(())
}

/// Checks what a model with a symbol axis needs beyond other models.
fn check_symbols(config: &Config) -> Result<()> {
    let inner = config.mixer_inner;
    if inner == 0 || inner > MAX_DIMENSION || !inner.is_multiple_of(UNITS) {
        return Err(Error::config(format!(
            "mixer_inner is {inner}; it must be a multiple of {UNITS} from {UNITS} to \
             {MAX_DIMENSION}"
        )));
    }
    if config.puzzle_emb_ndim > 0 {
        return Err(Error::config(
            "a model with a symbol axis has no puzzle embedding; the file has a tensor \
             puzzle_emb.weights",
        ));
    }
    let [rows, columns] = config.unit_box();
    if rows * columns != config.symbols() {
        return Err(Error::config(format!(
            "box is [{rows}, {columns}], but a box of {} digits has as many cells",
            config.symbols()
        )));
    }
    Ok(())
}
