//! The command line: the options that all commands share, and each command's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use trm_runtime::task::TaskKind;
use trm_runtime::{Error, ErrorKind, HaltRule, MultiStart, WeightDtype};

/// Solve Sudokus, mazes and ARC grids with Tiny Recursive Models
///
/// Without a command, trm-run solves puzzles from files, or from standard input if the file is `-`.
/// Without --model, it uses the bundled model that fits the puzzle. A puzzle file with the name of
/// a command is written `./bench`.
#[derive(Debug, Parser)]
#[command(
    name = "trm-run",
    version,
    after_help = "Examples:
  trm-run examples/puzzles/sudoku-9x9.json
  echo 1000000400310002 | trm-run -
  trm-run --model runs/my-sudoku puzzles.csv --json > answers.ndjson
  trm-run eval sudoku-6x6 --data test.csv

See `trm-run COMMAND --help` for the details of a command.",
    after_long_help = EXAMPLES
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(flatten)]
    pub(crate) solve: SolveArgs,
}

const EXAMPLES: &str = "Puzzles:
  One document (JSON, or the plain text of one puzzle), a JSON list, or a stream with one puzzle per
  line: JSON objects, or CSV with the header `puzzle,solution` or `maze,solution`.
  In a Sudoku, `0` or `.` is a blank. A maze has rows of `# SGo`.
  From a folder, trm-run reads the files *.json, *.ndjson, *.jsonl, *.csv, *.txt and *__inputs.npy
  in the order of their names.

Exit codes:
  0    all puzzles ran, and every answer that can be verified is valid
  1    an answer is not valid, or a record of a longer input could not be read or run
  2    nothing could be run
  130  stopped by Ctrl-C. The puzzles in progress get up to 3 seconds to finish; then the summary is
       printed. A second Ctrl-C stops them at once

Environment:
  TRM_MODEL, TRM_DEVICE  defaults of --model and --device
  TRM_CPU                forces the CPU's instruction set: portable, avx2, avx512 or neon
  TRM_CACHE_DIR          folder for the measurements that choose a device and its kernels
  TRM_LOG                error, warn, info, debug or trace
  NO_COLOR               no colours

Examples:
  trm-run examples/puzzles/sudoku-9x9.json
      Solve a Sudoku with the bundled model and show every refinement step
  echo 1000000400310002 | trm-run -
      Read a puzzle from standard input; standard output gets the answer alone
  trm-run --model runs/my-sudoku puzzles.csv --json > answers.ndjson
      Solve thousands of puzzles with a model from a training folder, as JSON Lines
  trm-run --no-halt --max-steps 64 hard.json
      Always run 64 steps, four times as many as in training
  trm-run --effort 8 --until-valid --timeout 30 hard.csv
      Use 8 starts for each puzzle, and new ones until an answer is valid or 30 seconds have passed
  trm-run eval sudoku-6x6 --data test.csv
      Measure the accuracy of a bundled model on puzzles with solutions";

/// Every command except solving, which is the default.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the variant, hyper-parameters, tensors and cost of a model
    ///
    /// Each hyper-parameter is shown with its source: a file, an option, the shape of a tensor, or
    /// the published default.
    #[command(after_help = "Examples:
  trm-run inspect sudoku-9x9
  trm-run inspect runs/my-sudoku --json
  trm-run inspect step_6173 --set H_cycles=3 --set L_cycles=6 --set num_heads=8 \\
      --set halt_max_steps=16 --plan")]
    Inspect(InspectArgs),
    /// Write a model as config.json and model.safetensors
    ///
    /// Converting the same model again gives the same bytes.
    #[command(after_help = "Examples:
  trm-run convert runs/my-sudoku -o my-sudoku --task sudoku
  trm-run convert runs/sudoku-6x6 -o models/sudoku-6x6 --task sudoku --box 2x3
  trm-run convert runs/arc -o arc-small --dtype f16 --puzzle-ids 0,17,40-47
  trm-run convert sudoku-9x9 -o small --dtype int8
      Half the size; the model then runs in int8. To measure the loss of accuracy:
      trm-run eval sudoku-9x9 --data FILE --compare f32")]
    Convert(ConvertArgs),
    /// Measure the accuracy of a model on puzzles with solutions
    #[command(after_help = "Examples:
  trm-run eval sudoku-9x9 --data sudoku_9x9_mixed_test.csv
  trm-run eval runs/my-sudoku --data a.csv b.ndjson --halt verified --limit 500 --json
  trm-run eval runs/maze --data test/all__inputs.npy --no-halt
      The labels come from all__labels.npy in the same folder; label 0 is padding and does not count
  trm-run eval sudoku-9x9 --data test.csv --effort 1,2,4,8
      Compare accuracy and time of 1, 2, 4 and 8 starts for each puzzle
  trm-run eval sudoku-9x9 --data test.csv --compare f32
      Compare f16, bf16 and int8 with f32; with --dtype int8, compare int8 alone")]
    Eval(EvalArgs),
    /// Evaluate a model on ARC as published: augmentations vote for two attempts
    #[command(after_help = "\
An ARC checkpoint knows each task of its training by name, in many augmentations: rotated,
mirrored and with other colours. trm-run answers every augmentation of a test input. Without --halt,
each takes as many steps as in training. trm-run crops the answers to the grid and undoes the
augmentations. It ranks the distinct answers by their number of votes, then by their mean halting
probability.

Examples:
  trm-run arc arc-agi_evaluation_challenges.json --model runs/arc \\
      --solutions arc-agi_evaluation_solutions.json -o submission.json
  trm-run arc tasks/ --model runs/arc --augment 50 -o submission.json
  trm-run arc challenges.json --predictions step_*_all_preds.* --identifiers identifiers.json \\
      -o submission.json
      Rank the predictions that the training code stored, without a model")]
    Arc(ArcArgs),
    /// Write the states, logits and halting values of each step to a file
    ///
    /// The tokens, and optionally the initial states, come from a file.
    #[command(after_help = "\
Reads  inputs [B,S] i32; puzzle_identifiers [B] i32 (default: 0); optionally the states before the
       first step, f32 [B,L,D]: z_H and z_L, or z_L (single-z), or z_H, z_L1 .. z_L6 (hier6), or
       z_H (baseline).
Writes input_embedding [B,L,D], and for K from 1: stepK.<state> [B,L,D], stepK.logits [B,S,V],
       stepK.q_halt [B], stepK.q_continue [B]; all f32.

Examples:
  trm-run trace runs/my-sudoku --inputs batch.safetensors --steps 4 -o trace.safetensors
  trm-run trace runs/my-sudoku --inputs states.safetensors --steps 1 -o next.safetensors \\
      --device reference")]
    Trace(TraceArgs),
    /// Measure the time of a refinement step: ms, GFLOP/s, puzzles/s, memory
    #[command(after_help = "Examples:
  trm-run bench sudoku-9x9
  trm-run bench sudoku-9x9 --batch 1 --threads 1 --json
  trm-run bench runs/maze --set seq_len=900")]
    Bench(BenchArgs),
    /// Compare a device with the scalar reference, kernel by kernel
    ///
    /// Reports the first kernel call whose results differ.
    #[command(after_help = "\
Exit codes: 0 if all kernel calls of a refinement step agree, 1 if one does not

Examples:
  trm-run check sudoku-9x9
  trm-run check runs/my-sudoku --device cpu --json")]
    Check(CheckArgs),
    /// List the CPU and the GPUs, their features, and the choice of `auto`
    #[command(after_help = "Examples:
  trm-run devices
  trm-run devices --json
  TRM_CPU=avx2 trm-run devices
  trm-run bench sudoku-9x9 --device gpu:0")]
    Devices,
    /// Print a completion script for a shell
    #[command(after_help = "Examples:
  trm-run completions bash > ~/.local/share/bash-completion/completions/trm-run
  trm-run completions zsh > ~/.zfunc/_trm-run")]
    Completions {
        /// Shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = "Examples:
  trm-run man > ~/.local/share/man/man1/trm-run.1")]
    Man,
}

/// Options that can stand before or after a command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Shared {
    /// Model: a file, a directory or a bundled name
    ///
    /// A file that training wrote, a .safetensors file, or a directory with one of them. Bundled
    /// models have names such as sudoku-9x9.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) model: Option<PathBuf>,
    /// Read the hyper-parameters from this file
    ///
    /// An `all_config.yaml` or config.json, used instead of the one beside the model.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set a hyper-parameter, such as `L_cycles=6` (repeatable)
    ///
    /// Takes precedence over all files. More examples: `seq_len=900`, `box=2,3`.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// Open a model with tensors that no known architecture has
    ///
    /// Such tensors (adapters, extra norms or biases) are left out, so the answers are those of
    /// another network. Without this option they are an error.
    #[arg(long, global = true)]
    pub(crate) ignore_unknown_tensors: bool,
    /// Kind of puzzle, if neither the puzzle nor the model tells
    #[arg(long, global = true, value_name = "TASK", value_parser = tasks())]
    pub(crate) task: Option<TaskKind>,
    /// Device: auto, cpu, reference, gpu or gpu:N [default: auto]
    ///
    /// `auto` measures whether the CPU or a GPU is faster, and never takes a software adapter.
    /// `gpu` takes the best adapter, a software one included. `gpu:N` takes the N-th adapter of
    /// `trm-run devices`. `reference` is the scalar reference.
    #[arg(long, global = true, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
    /// Weight dtype of the blocks [default: int8 if stored so, else f32]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = dtypes())]
    pub(crate) dtype: Option<WeightDtype>,
    /// Number of CPU threads [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = up_to(1024))]
    pub(crate) threads: Option<usize>,
    /// Number of puzzles that are stepped together [default: 16; bench: 1]
    #[arg(long, global = true, value_name = "B", value_parser = up_to(4096))]
    pub(crate) batch: Option<usize>,
    /// Maximum number of steps for each puzzle [default: as in training]
    #[arg(long, global = true, value_name = "N", value_parser = steps())]
    pub(crate) max_steps: Option<usize>,
    /// Minimum number of steps before a puzzle halts [default: 1]
    #[arg(long, global = true, value_name = "N", value_parser = steps())]
    pub(crate) min_steps: Option<usize>,
    /// Halt above this halting probability [default: 0.5]
    #[arg(long, global = true, value_name = "P", value_parser = probability)]
    pub(crate) halt_threshold: Option<f32>,
    /// When a puzzle halts before --max-steps
    ///
    /// `head` trusts the halting head, `verified` also requires a valid answer, `never` always runs
    /// --max-steps. Default: `verified` where the rules of the puzzle can be checked, else `head`;
    /// `head` for eval; `never` for arc.
    #[arg(long, global = true, value_name = "RULE", value_parser = halt_rules())]
    pub(crate) halt: Option<HaltRule>,
    /// Same as --halt never
    #[arg(
        long,
        global = true,
        conflicts_with = "halt",
        overrides_with = "no_halt"
    )]
    pub(crate) no_halt: bool,
    /// Seed of all random numbers [default: 0]
    ///
    /// It selects the starts of --effort, the augmentations of `arc` and the tokens of `bench`.
    /// Solving with one start uses no random numbers.
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) seed: u64,
    /// Print JSON on standard output: one object, or one per line
    #[arg(long, global = true, overrides_with = "json")]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// More logging to standard error (repeat for more)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print nothing but errors on standard error
    #[arg(short, long, global = true, overrides_with = "quiet")]
    pub(crate) quiet: bool,
}

impl Shared {
    /// Fills in `--model` and `--device` from `TRM_MODEL` and `TRM_DEVICE`. An empty variable
    /// counts as not set.
    ///
    /// # Errors
    /// `TRM_DEVICE` is not UTF-8.
    pub(crate) fn with_environment(mut self) -> trm_runtime::Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if self.model.is_none() {
            self.model = variable("TRM_MODEL").map(PathBuf::from);
        }
        if self.device.is_none() {
            let device = variable("TRM_DEVICE")
                .map(OsString::into_string)
                .transpose();
            self.device = device.map_err(|value| {
                let message = format!("TRM_DEVICE: {value:?} is not a device");
                Error::new(ErrorKind::Argument, message)
            })?;
        }
        Ok(self)
    }

    /// Returns `--model` or `TRM_MODEL`.
    pub(crate) fn model(&self) -> Option<&Path> {
        self.model.as_deref()
    }

    /// Returns `--device` or `TRM_DEVICE`. Default: `auto`.
    pub(crate) fn device(&self) -> &str {
        self.device
            .as_deref()
            .filter(|device| !device.is_empty())
            .unwrap_or("auto")
    }

    /// Returns `--halt` or `--no-halt`, if either was given.
    pub(crate) fn halt_rule(&self) -> Option<HaltRule> {
        if self.no_halt {
            Some(HaltRule::Never)
        } else {
            self.halt
        }
    }

    /// Returns `--batch`. Default: 16.
    pub(crate) fn batch_size(&self) -> usize {
        self.batch.unwrap_or(16)
    }
}

/// Options of solving.
#[derive(Debug, Args)]
pub(crate) struct SolveArgs {
    /// Puzzle files, folders of them, or `-` for standard input
    #[arg(value_name = "PUZZLE")]
    pub(crate) puzzles: Vec<PathBuf>,
    /// With --json: also print a line for every refinement step
    #[arg(long)]
    pub(crate) steps: bool,
    /// Multi-start: number of starts for each puzzle [default: 1]
    ///
    /// All starts share the slots of the batch. The first start is the puzzle as it is. The others
    /// are copies under a symmetry (for a Sudoku: other digits, exchanged rows and columns; for a
    /// maze: rotated or mirrored), or copies with noise on the initial states. trm-run takes the
    /// first valid answer, or else the answer with the highest halting probability.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        hide_default_value = true,
        value_parser = starts()
    )]
    pub(crate) effort: usize,
    /// Multi-start: try new starts until the answer is valid
    ///
    /// It tries for --timeout seconds for each puzzle.
    #[arg(long)]
    pub(crate) until_valid: bool,
    /// Time limit of --until-valid for each puzzle [default: 60]
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "until_valid",
        value_parser = RangedU64ValueParser::<u64>::new().range(1..=86_400)
    )]
    pub(crate) timeout: Option<u64>,
    /// Print answers as they finish, not in input order
    ///
    /// The `id` of an answer tells which puzzle it belongs to.
    #[arg(long)]
    pub(crate) unordered: bool,
}

/// Options of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Model (or --model)
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// Also print the kernel calls of a refinement step
    #[arg(long)]
    pub(crate) plan: bool,
}

/// Options of `convert`.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Model (or --model)
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// Directory to write; created if it does not exist
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Keep only these rows of the puzzle embedding, such as 0,17,40-47
    #[arg(long, value_name = "LIST")]
    pub(crate) puzzle_ids: Option<String>,
    /// Rows and columns of a Sudoku box, such as 2x3
    #[arg(long = "box", value_name = "RxC")]
    pub(crate) box_shape: Option<String>,
}

/// Options of `eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Model (or --model)
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// Files of puzzles with solutions, or folders of them
    ///
    /// CSV, NDJSON, JSON, or `NAME__inputs.npy` with `NAME__labels.npy` in the same folder.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) data: Vec<PathBuf>,
    /// Only the first N puzzles of each file
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) limit: Option<usize>,
    /// Multi-start: number of starts for each puzzle; a list is compared
    ///
    /// `--effort 1,2,4,8` evaluates the puzzles four times and prints a row for each.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        conflicts_with = "compare",
        value_parser = starts()
    )]
    pub(crate) effort: Vec<usize>,
    /// Compare weight dtypes with this baseline, normally f32
    ///
    /// Runs every puzzle in the baseline dtype and in the dtype of --dtype, or in all others.
    /// Reports the differences in accuracy, halting and answers, and the cosine similarity of the
    /// states after each step.
    #[arg(long, value_name = "FORMAT", value_parser = dtypes())]
    pub(crate) compare: Option<WeightDtype>,
    /// Draw accuracy over the number of steps, as an SVG file or `-`
    ///
    /// The curve shows how many puzzles would be solved with a limit of 1 to --max-steps steps.
    #[arg(long, value_name = "FILE.svg", conflicts_with_all = ["compare", "effort"])]
    pub(crate) curve: Option<PathBuf>,
}

/// Options of `arc`.
#[derive(Debug, Args)]
pub(crate) struct ArcArgs {
    /// ARC tasks: the contest's file, single task files, or folders of them
    #[arg(value_name = "TASKS", required = true)]
    pub(crate) tasks: Vec<PathBuf>,
    /// Maximum number of augmentations of each task
    ///
    /// The first is the task as it is. Default: all that the checkpoint knows; 1 if its puzzle
    /// embedding does not distinguish tasks.
    #[arg(long, value_name = "N", value_parser = up_to(1 << 20))]
    pub(crate) augment: Option<usize>,
    /// Names of the rows of the puzzle embedding
    ///
    /// Default: identifiers.json beside the model.
    #[arg(long, value_name = "FILE")]
    pub(crate) identifiers: Option<PathBuf>,
    /// Solutions, as the contest publishes them
    ///
    /// An `output` in the tasks counts as a solution too.
    #[arg(long, value_name = "FILE")]
    pub(crate) solutions: Option<PathBuf>,
    /// Stored predictions of the training code, instead of a model
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) predictions: Vec<PathBuf>,
    /// File to write, in the contest's format; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Options of `trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// Model (or --model)
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// File with the tokens, and optionally the initial states
    #[arg(long, value_name = "FILE")]
    pub(crate) inputs: PathBuf,
    /// Number of refinement steps
    #[arg(long, value_name = "N", value_parser = steps())]
    pub(crate) steps: usize,
    /// File to write; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Model (or --model)
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// Second model to time in turns with the first
    ///
    /// For example the same step as ONNX, or another checkpoint. The logits of both are compared.
    /// An ONNX graph runs on the CPU and in its own dtype, regardless of --device and --dtype.
    #[arg(long, value_name = "MODEL")]
    pub(crate) against: Option<PathBuf>,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Model (or --model)
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// on a terminal, unless `NO_COLOR` is set
    Auto,
    /// always, also into a file
    Always,
    /// never
    Never,
}

fn tasks() -> impl TypedValueParser<Value = TaskKind> {
    let help = |kind: TaskKind| match kind {
        TaskKind::Sudoku => "n x n digits",
        TaskKind::Maze => "rows of `# SGo`",
        TaskKind::Arc => "grids of ten colours",
        TaskKind::Tokens => "the model's own tokens",
    };
    let value = |kind: TaskKind| PossibleValue::new(kind.name()).help(help(kind));
    PossibleValuesParser::new(TaskKind::ALL.map(value)).try_map(|name| name.parse::<TaskKind>())
}

fn dtypes() -> impl TypedValueParser<Value = WeightDtype> {
    PossibleValuesParser::new(WeightDtype::ALL.map(WeightDtype::name))
        .try_map(|name| name.parse::<WeightDtype>())
}

fn halt_rules() -> impl TypedValueParser<Value = HaltRule> {
    PossibleValuesParser::new(HaltRule::ALL.map(HaltRule::name))
        .try_map(|name| name.parse::<HaltRule>())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_string(), value.trim().to_string()))
        }
        _ => Err("expected KEY=VALUE, such as L_cycles=6".into()),
    }
}

/// Parses a number from 1 to `max`.
fn up_to(max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=max)
}

/// Parses a number of steps.
fn steps() -> RangedU64ValueParser<usize> {
    up_to(1 << 20)
}

/// Parses a number of starts.
fn starts() -> RangedU64ValueParser<usize> {
    up_to(MultiStart::MAX_STARTS as u64)
}

/// Parses a probability.
fn probability(text: &str) -> Result<f32, String> {
    let p: f32 = text
        .parse()
        .map_err(|_| "expected a number from 0 to 1".to_string())?;
    if (0.0..=1.0).contains(&p) {
        Ok(p)
    } else {
        Err("expected a number from 0 to 1".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn shared_options_stand_before_or_after_the_command() {
        for line in [
            "trm-run --batch 3 bench m",
            "trm-run bench m --batch 3",
            "trm-run bench --batch 3 m",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.shared.batch, Some(3), "{line}");
            assert!(matches!(cli.command, Some(Command::Bench(_))), "{line}");
        }
    }

    #[test]
    fn the_model_is_the_first_argument_or_an_option() {
        for line in [
            "trm-run bench m",
            "trm-run bench --model m",
            "trm-run --model m bench",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            let Some(Command::Bench(args)) = cli.command else {
                panic!("{line}")
            };
            assert_eq!(
                args.subject.or(cli.shared.model),
                Some("m".into()),
                "{line}"
            );
        }
    }

    #[test]
    fn anything_else_is_a_puzzle() {
        let cli = Cli::try_parse_from(["trm-run", "--steps", "a.json", "-", "./bench"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.solve.puzzles.len(), 3);
    }
}
