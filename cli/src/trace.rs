//! `trace`: writes the states, logits and halting values after each step, from given tokens and
//! states.
//!
//! The position of every tensor in the output is known from the start. So the sequences can run in
//! batches, and memory does not grow with their number.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, json};
use trm_runtime::low_level::Inspect;
use trm_runtime::low_level::checkpoint::{Checkpoint, Dtype};
use trm_runtime::low_level::config::{Config, State};
use trm_runtime::low_level::plan::Dims;
use trm_runtime::{CancelToken, Error, ErrorKind};

use crate::args::{Shared, TraceArgs};
use crate::models::{build_solver, display_path, model_path, open};
use crate::output::{CommandError, CommandStatus, eprint_line};
use crate::output_file::{OutputFile, Printed};

/// Maximum of `--steps`.
const MAX_STEPS: usize = 10_000;

/// Runs the command.
pub(crate) fn run(shared: &Shared, args: &TraceArgs) -> Result<CommandStatus, CommandError> {
    let solver = build_solver(open(model_path(&args.subject, shared)?, shared)?, shared)?;
    let config = &solver.model().config;
    let file = display_path(&args.inputs);
    let checkpoint = Checkpoint::open(&args.inputs)?;
    let inputs = Inputs::check(&checkpoint, config).map_err(|e| e.context(&file))?;
    let dims = solver
        .dims(inputs.tokens)
        .map_err(|e| e.context("tensor \"inputs\"").context(&file))?;
    // The input embedding of an ONNX graph is not accessible.
    let with_embedding = solver.model().checkpoint().is_some();
    inputs.check_states(&dims).map_err(|e| e.context(&file))?;
    let read = [&[args.inputs.clone()][..], solver.model().files()].concat();
    let mut output = Output::create(
        &args.output,
        &read,
        layout(config, &dims, &inputs, args.steps, with_embedding)?,
    )?;
    let slots = shared.batch_size().min(inputs.batch).max(1);
    let mut stepper = solver.stepper(inputs.tokens, slots)?;
    for first in (0..inputs.batch).step_by(slots) {
        let live: Vec<usize> = (0..slots.min(inputs.batch - first)).collect();
        for &slot in &live {
            inputs
                .load(&mut *stepper, slot, first + slot)
                .map_err(|e| e.context(&file))?;
            if with_embedding {
                output.put(
                    "input_embedding",
                    first + slot,
                    &stepper.input_embedding(slot)?,
                )?;
            }
        }
        for step in 1..=args.steps {
            stepper.step(&live)?;
            for &slot in &live {
                stepper.check_finite(slot).map_err(|e| {
                    let sequence = format!("sequence {}", first + slot);
                    e.context(format!("step {step}")).context(sequence)
                })?;
                for state in config.states() {
                    output.put(
                        &format!("step{step}.{}", state.name()),
                        first + slot,
                        &stepper.state(slot, state)?,
                    )?;
                }
                let halting = stepper.halting(slot)?;
                output.put(
                    &format!("step{step}.logits"),
                    first + slot,
                    &stepper.logits(slot)?,
                )?;
                output.put(
                    &format!("step{step}.q_halt"),
                    first + slot,
                    &[halting.q_halt],
                )?;
                output.put(
                    &format!("step{step}.q_continue"),
                    first + slot,
                    &[halting.q_continue],
                )?;
            }
        }
    }
    output.finish()?;
    if !shared.quiet {
        let steps = if args.steps == 1 { "step" } else { "steps" };
        eprint_line(format_args!(
            "wrote {}: {} {steps} of {} sequences",
            args.output.display(),
            args.steps,
            inputs.batch
        ));
    }
    Ok(CommandStatus::Success)
}

/// The tensors of the input file, checked.
struct Inputs<'a> {
    checkpoint: &'a Checkpoint,
    /// B.
    batch: usize,
    /// S.
    tokens: usize,
    /// V: tokens are less than it.
    vocab: usize,
    identifiers: bool,
    states: Vec<State>,
}

impl<'a> Inputs<'a> {
    fn check(checkpoint: &'a Checkpoint, config: &Config) -> trm_runtime::Result<Self> {
        let tensors = checkpoint.tensors();
        let known = |name: &str| {
            ["inputs", "puzzle_identifiers"].contains(&name)
                || config.states().iter().any(|s| s.name() == name)
        };
        if let Some(name) = tensors.keys().find(|name| !known(name)) {
            let states: Vec<String> = config.states().iter().map(|s| s.name()).collect();
            let message = format!(
                "is not one of inputs, puzzle_identifiers, {}",
                states.join(", ")
            );
            return Err(bad(message, name));
        }
        let info = tensors
            .get("inputs")
            .ok_or_else(|| bad("is missing; expected the tokens, [B, S] i32", "inputs"))?;
        let [batch, tokens] = info.shape[..] else {
            return Err(bad(
                format!("has shape {:?}, expected [B, S]", info.shape),
                "inputs",
            ));
        };
        if batch == 0 || tokens == 0 {
            return Err(bad(
                format!("has shape {:?}, which is empty", info.shape),
                "inputs",
            ));
        }
        has_type(info.dtype, Dtype::I32, "inputs")?;
        let identifiers = tensors.get("puzzle_identifiers");
        if let Some(info) = identifiers {
            has_type(info.dtype, Dtype::I32, "puzzle_identifiers")?;
            has_shape(&info.shape, &[batch], "puzzle_identifiers")?;
        }
        let states: Vec<State> = config
            .states()
            .into_iter()
            .filter(|s| tensors.contains_key(&s.name()))
            .collect();
        if !states.is_empty() && states.len() != config.states().len() {
            let missing = config
                .states()
                .into_iter()
                .find(|s| !states.contains(s))
                .map(State::name);
            return Err(bad(
                "is missing; expected all states, or no state",
                &missing.unwrap_or_default(),
            ));
        }
        let identifiers = identifiers.is_some();
        Ok(Inputs {
            checkpoint,
            batch,
            tokens,
            vocab: config.vocab_size,
            identifiers,
            states,
        })
    }

    fn check_states(&self, dims: &Dims) -> trm_runtime::Result<()> {
        for name in self.states.iter().map(|s| s.name()) {
            if let Some(info) = self.checkpoint.tensors().get(&name) {
                has_type(info.dtype, Dtype::F32, &name)?;
                has_shape(&info.shape, &state_shape(self.batch, dims), &name)?;
            }
        }
        Ok(())
    }

    /// Loads a sequence into a slot: its tokens, its row of the puzzle embedding, its states.
    fn load(
        &self,
        stepper: &mut dyn Inspect,
        slot: usize,
        sequence: usize,
    ) -> trm_runtime::Result<()> {
        let tokens = self.checkpoint.read_row("inputs", sequence)?;
        let tokens = tokens
            .iter()
            .map(|&token| self.check_token(token, sequence))
            .collect::<trm_runtime::Result<Vec<u32>>>()?;
        let identifier = match self.identifiers {
            true => self
                .checkpoint
                .read_row("puzzle_identifiers", sequence)?
                .first()
                .copied()
                .unwrap_or(0.0),
            false => 0.0,
        };
        // Above 2^24, an f32 does not represent every integer. No model has as many identifiers.
        if !(0.0..16_777_216.0).contains(&identifier) {
            return Err(bad(
                format!("sequence {sequence} has the identifier {identifier}: out of range"),
                "puzzle_identifiers",
            ));
        }
        #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
        stepper
            .load(slot, &tokens, identifier as u32)
            .map_err(|e| e.context(format!("sequence {sequence}")))?;
        for &state in &self.states {
            stepper.set_state(
                slot,
                state,
                &self.checkpoint.read_row(&state.name(), sequence)?,
            )?;
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
    fn check_token(&self, token: f32, sequence: usize) -> trm_runtime::Result<u32> {
        if token >= 0.0 && token < self.vocab as f32 {
            return Ok(token as u32);
        }
        let message = format!(
            "sequence {sequence} has the token {token}; expected 0 to {}",
            self.vocab - 1
        );
        Err(bad(message, "inputs"))
    }
}

fn has_type(found: Dtype, expected: Dtype, name: &str) -> trm_runtime::Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(bad(
            format!("has elements of type {found}, expected {expected}"),
            name,
        ))
    }
}

fn has_shape(found: &[usize], expected: &[usize], name: &str) -> trm_runtime::Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(bad(
            format!("has shape {found:?}, expected {expected:?}"),
            name,
        ))
    }
}

/// Returns the shape of a state: `[B, L, D]`, or `[B, K, S, D]` with a symbol axis.
fn state_shape(batch: usize, d: &Dims) -> Vec<usize> {
    match d.symbols {
        0 => vec![batch, d.positions, d.hidden],
        symbols => vec![batch, symbols, d.tokens, d.hidden],
    }
}

fn bad(message: impl Into<String>, name: &str) -> Error {
    Error::new(ErrorKind::Argument, message).context(format!("tensor \"{name}\""))
}

/// Returns the names and shapes of the output tensors, in the order of the file.
fn layout(
    config: &Config,
    d: &Dims,
    inputs: &Inputs,
    steps: usize,
    with_embedding: bool,
) -> trm_runtime::Result<Vec<(String, Vec<usize>)>> {
    let batch = inputs.batch;
    // Every step adds several hundred bytes to the header, and readers limit its size.
    if steps > MAX_STEPS {
        return Err(Error::new(
            ErrorKind::Argument,
            format!("--steps {steps}: the maximum is {MAX_STEPS}"),
        ));
    }
    let state = state_shape(batch, d);
    let mut tensors = Vec::new();
    if with_embedding {
        tensors.push(("input_embedding".to_string(), state.clone()));
    }
    for step in 1..=steps {
        tensors.extend(
            config
                .states()
                .iter()
                .map(|s| (format!("step{step}.{}", s.name()), state.clone())),
        );
        tensors.push((format!("step{step}.logits"), vec![batch, d.tokens, d.vocab]));
        tensors.push((format!("step{step}.q_halt"), vec![batch]));
        tensors.push((format!("step{step}.q_continue"), vec![batch]));
    }
    Ok(tensors)
}

/// A safetensors file whose tensors are written piece by piece.
struct Output {
    path: PathBuf,
    output: OutputFile,
    /// Offset of each tensor in bytes.
    offsets: BTreeMap<String, u64>,
}

impl Output {
    /// Creates the file, which may be none of those that were read.
    fn create(
        path: &Path,
        read: &[PathBuf],
        tensors: Vec<(String, Vec<usize>)>,
    ) -> trm_runtime::Result<Self> {
        let too_large = || {
            Error::new(ErrorKind::Argument, "the output would be too large").context(path.display())
        };
        let mut header = Map::new();
        let mut offsets = BTreeMap::new();
        let mut end = 0u64;
        for (name, shape) in tensors {
            let bytes = shape
                .iter()
                .try_fold(4u64, |n, size| n.checked_mul(*size as u64))
                .ok_or_else(too_large)?;
            let start = end;
            end = end
                .checked_add(bytes)
                .filter(|end| *end < 1 << 46)
                .ok_or_else(too_large)?;
            offsets.insert(name.clone(), start);
            header.insert(
                name,
                json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }),
            );
        }
        let mut text = serde_json::Value::from(header).to_string();
        // Pad the header, so that the tensors start at a multiple of 8.
        text.extend(std::iter::repeat_n(
            ' ',
            text.len().next_multiple_of(8) - text.len(),
        ));
        let before = 8 + text.len() as u64;
        for offset in offsets.values_mut() {
            *offset += before;
        }
        let mut output = Self {
            path: path.to_owned(),
            output: OutputFile::create(path, Printed::Nothing, read)?,
            offsets,
        };
        let head = [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
        output.write(0, &head)?;
        let sized = output.file()?.set_len(before + end);
        sized.map_err(|e| Error::io(path.display(), e))?;
        Ok(output)
    }

    fn file(&mut self) -> trm_runtime::Result<&mut File> {
        self.output.file()
    }

    /// Writes the values of one sequence to a tensor.
    fn put(&mut self, name: &str, sequence: usize, values: &[f32]) -> trm_runtime::Result<()> {
        let unknown = || Error::new(ErrorKind::Argument, format!("unknown output tensor {name}"));
        let start = self.offsets.get(name).copied().ok_or_else(unknown)?;
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.write(start + sequence as u64 * bytes.len() as u64, &bytes)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> trm_runtime::Result<()> {
        let file = self.file()?;
        let written = file
            .seek(SeekFrom::Start(at))
            .and_then(|_| file.write_all(bytes));
        written.map_err(|e| Error::io(self.path.display(), e))
    }

    fn finish(self) -> Result<(), CommandError> {
        // Ctrl-C ends the program at once.
        self.output.finish(&CancelToken::default())
    }
}
