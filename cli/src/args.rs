//! The command line: options that all commands share, and each command's own.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use trm_runtime::WeightDtype;

/// Solves Sudokus, mazes and ARC grids with Tiny Recursive Models.
///
/// Without a command, trm-run solves the puzzles that it is given: files, or `-` for standard input. Without --model it
/// takes the bundled model that fits the puzzle. A file that is called like a command is written `./bench`.
#[derive(Debug, Parser)]
#[command(
    name = "trm-run",
    version,
    after_help = "Examples:
  trm-run examples/puzzles/sudoku-9x9.json
  echo 1000000400310002 | trm-run -
  trm-run --model runs/my-sudoku puzzles.csv --json > answers.ndjson
  trm-run eval sudoku-6x6 --data test.csv

`trm-run COMMAND --help` tells more about a command.",
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
  One document (JSON, or the plain text of one puzzle), a JSON list, or a stream with one puzzle a line: JSON objects,
  or CSV with the header `puzzle,solution` or `maze,solution`. A Sudoku's blank is 0 or `.`; a maze has rows of `# SGo`.
  Of a folder: its files *.json, *.ndjson, *.jsonl, *.csv, *.txt and *__inputs.npy, by name.

Exit codes:
  0  everything ran, and every answer that can be verified verifies
  1  an answer does not verify, or a record of a longer input could not be read or run
  2  nothing could be run
  130  stopped by Ctrl-C, after the summary. Puzzles at work end first, for 3 seconds at most; a second Ctrl-C stops them too

Environment:
  TRM_MODEL, TRM_DEVICE  defaults of --model and --device
  TRM_CPU                portable, avx2, avx512 or neon: forces the CPU's instruction set
  TRM_CACHE_DIR          folder that keeps what is measured to choose a device and its kernels
  TRM_LOG                error, warn, info, debug or trace
  NO_COLOR               no colours

Examples:
  trm-run examples/puzzles/sudoku-9x9.json
      Solves a Sudoku with the bundled model and shows each refinement step.
  echo 1000000400310002 | trm-run -
      A puzzle from standard input; the answer alone goes to standard output.
  trm-run --model runs/my-sudoku puzzles.csv --json > answers.ndjson
      A folder that training left, thousands of puzzles, JSON Lines.
  trm-run --no-halt --max-steps 64 hard.json
      Always 64 steps, four times what the model was trained for.
  trm-run --effort 8 --until-valid --timeout 30 hard.csv
      Eight starts for each puzzle, and new ones until an answer verifies or 30 seconds have passed.
  trm-run eval sudoku-6x6 --data test.csv
      Accuracy of a bundled model on a file of puzzles with solutions.";

/// Everything but solving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what a model is: variant, hyper-parameters and where they come from, tensors, cost of a step.
    #[command(after_help = "Examples:
  trm-run inspect sudoku-9x9
  trm-run inspect runs/my-sudoku --json
  trm-run inspect step_6173 --set H_cycles=3 --set L_cycles=6 --set num_heads=8 --set halt_max_steps=16 --plan")]
    Inspect(InspectArgs),
    /// Writes a model as config.json + model.safetensors; twice gives the same bytes.
    #[command(after_help = "Examples:
  trm-run convert runs/my-sudoku -o my-sudoku --task sudoku
  trm-run convert runs/sudoku-6x6 -o models/sudoku-6x6 --task sudoku --box 2x3
  trm-run convert runs/arc -o arc-small --dtype f16 --puzzle-ids 0,17,40-47
  trm-run convert sudoku-9x9 -o small --dtype int8
      Half the size; solves in int8 from then on. What that costs: trm-run eval sudoku-9x9 --data FILE --compare f32")]
    Convert(ConvertArgs),
    /// Measures a model on puzzles with solutions.
    #[command(after_help = "Examples:
  trm-run eval sudoku-9x9 --data sudoku_9x9_mixed_test.csv
  trm-run eval runs/my-sudoku --data a.csv b.ndjson --halt verified --limit 500 --json
  trm-run eval runs/maze --data test/all__inputs.npy --no-halt
      all__labels.npy is taken from beside it; labels that are padding (0) do not count.
  trm-run eval sudoku-9x9 --data test.csv --effort 1,2,4,8
      What more starts for each puzzle gain, and cost.
  trm-run eval sudoku-9x9 --data test.csv --compare f32
      What f16, bf16 and int8 change; with --dtype int8, int8 alone.")]
    Eval(EvalArgs),
    /// Evaluates ARC as published: all forms of a task vote, two attempts are handed in.
    #[command(
        after_help = "A checkpoint knows the tasks of its training by name, each in many forms: turned or mirrored, and with other colours. Every form of a
test input is answered, by as many steps as the model was trained for unless --halt is given, and cut to the grid; the answers are brought back, equal
ones pooled, and ranked by their number, then by the mean halting probability.

Examples:
  trm-run arc arc-agi_evaluation_challenges.json --model runs/arc --solutions arc-agi_evaluation_solutions.json -o submission.json
  trm-run arc tasks/ --model runs/arc --augment 50 -o submission.json
  trm-run arc challenges.json --predictions step_*_all_preds.* --identifiers identifiers.json -o submission.json
      What an evaluation of the training code has stored votes, without a model."
    )]
    Arc(ArcArgs),
    /// Raw access: states, logits and halting values after each step, from given tokens and states.
    #[command(
        after_help = "Reads  inputs [B,S] i32; puzzle_identifiers [B] i32 (absent: 0); optionally the states before the first step, f32 [B,L,D]:
       z_H and z_L, or z_L (single-z), or z_H, z_L1 .. z_L6 (hier6), or z_H (baseline).
Writes input_embedding [B,L,D], and for K from 1: stepK.<state> [B,L,D], stepK.logits [B,S,V], stepK.q_halt [B],
       stepK.q_continue [B]; all f32.

Examples:
  trm-run trace runs/my-sudoku --inputs batch.safetensors --steps 4 -o trace.safetensors
  trm-run trace runs/my-sudoku --inputs states.safetensors --steps 1 -o next.safetensors --device reference"
    )]
    Trace(TraceArgs),
    /// Times a refinement step: milliseconds, GFLOP/s, puzzles/s, memory.
    #[command(after_help = "Examples:
  trm-run bench sudoku-9x9
  trm-run bench sudoku-9x9 --batch 1 --threads 1 --json
  trm-run bench runs/maze --set seq_len=900")]
    Bench(BenchArgs),
    /// Compares a device with the scalar reference, kernel by kernel, and names the first that differs.
    #[command(
        after_help = "Exit code 0: all calls of a refinement step agree; 1: one does not.

Examples:
  trm-run check sudoku-9x9
  trm-run check runs/my-sudoku --device cpu --json"
    )]
    Check(CheckArgs),
    /// Lists the CPU and the GPUs: what they can do, and what `--device auto` makes of them.
    #[command(after_help = "Examples:
  trm-run devices
  trm-run devices --json
  TRM_CPU=avx2 trm-run devices
  trm-run bench sudoku-9x9 --device gpu:0")]
    Devices,
    /// Prints a completion script for a shell.
    #[command(after_help = "Examples:
  trm-run completions bash > ~/.local/share/bash-completion/completions/trm-run
  trm-run completions zsh > ~/.zfunc/_trm-run")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints the manual page.
    #[command(after_help = "Examples:
  trm-run man > ~/.local/share/man/man1/trm-run.1")]
    Man,
}

/// Options that can stand before or after a command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Shared {
    /// The model: a file that training wrote, a .safetensors file, a directory with one of them, or a bundled name.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "TRM_MODEL",
        hide_env = true
    )]
    pub(crate) model: Option<PathBuf>,
    /// Hyper-parameters from this file (all_config.yaml or config.json) instead of the one beside the model.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A hyper-parameter by hand, over all files: L_cycles=6, seq_len=900, box=2,3. Can be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// What the puzzles are, where their form and the model leave a doubt.
    #[arg(long, global = true, value_enum, value_name = "TASK")]
    pub(crate) task: Option<TaskName>,
    /// Where to run: auto, cpu, reference, gpu or gpu:N.
    #[arg(
        long,
        global = true,
        value_name = "DEVICE",
        env = "TRM_DEVICE",
        hide_env = true
    )]
    pub(crate) device: Option<String>,
    /// Number format of the weights of the blocks [default: int8 if the file has them so, else f32].
    #[arg(long, global = true, value_name = "FORMAT", value_parser = formats())]
    pub(crate) dtype: Option<WeightDtype>,
    /// Threads of the CPU [default: one a core].
    #[arg(long, global = true, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
    /// Puzzles at work at the same time [default: 16; 1 for bench].
    #[arg(long, global = true, value_name = "B", value_parser = RangedU64ValueParser::<usize>::new().range(1..=4096))]
    pub(crate) batch: Option<usize>,
    /// Steps after which a puzzle ends [default: as many as the model was trained for].
    #[arg(long, global = true, value_name = "N", value_parser = steps())]
    pub(crate) max_steps: Option<usize>,
    /// No puzzle halts before this many steps [default: 1].
    #[arg(long, global = true, value_name = "N", value_parser = steps())]
    pub(crate) min_steps: Option<usize>,
    /// The head says halt above this probability [default: 0.5].
    #[arg(long, global = true, value_name = "P", value_parser = probability)]
    pub(crate) halt_threshold: Option<f32>,
    /// Who decides that a puzzle halts: the head; the head if the answer verifies; nobody (always --max-steps).
    #[arg(long, global = true, value_enum, value_name = "RULE")]
    pub(crate) halt: Option<Rule>,
    /// The same as --halt never.
    #[arg(long, global = true, conflicts_with = "halt")]
    pub(crate) no_halt: bool,
    /// Seed of what is random: starts of --effort, forms of `arc`, tokens of `bench`. Solving with one start has nothing random in it.
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) seed: u64,
    /// JSON (one object, or one a line) on standard output, and nothing else there.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colours: auto is a terminal without NO_COLOR.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Tells more on standard error; twice for details, three times for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Tells nothing on standard error but errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Shared {
    /// `--model` or `TRM_MODEL`; an empty variable is none.
    pub(crate) fn model(&self) -> Option<&Path> {
        self.model
            .as_deref()
            .filter(|path| !path.as_os_str().is_empty())
    }

    /// `--device` or `TRM_DEVICE`, else `auto`.
    pub(crate) fn device(&self) -> &str {
        self.device
            .as_deref()
            .filter(|device| !device.is_empty())
            .unwrap_or("auto")
    }
}

/// Options of solving.
#[derive(Debug, Args)]
pub(crate) struct SolveArgs {
    /// Puzzle files, folders of them, or `-` for standard input.
    #[arg(value_name = "PUZZLE")]
    pub(crate) puzzles: Vec<PathBuf>,
    /// With --json: a line for every refinement step too.
    #[arg(long)]
    pub(crate) steps: bool,
    /// Starts for each puzzle, raced in the places of the batch: the puzzle as it is, then copies under a symmetry (other digits, rows, columns; turned), or
    /// with noise on the initial states. The first answer that verifies is taken, or else the one with the highest halting probability.
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true, value_parser = starts())]
    pub(crate) effort: usize,
    /// Goes on with new starts until the answer verifies, for --timeout seconds a puzzle.
    #[arg(long)]
    pub(crate) until_valid: bool,
    /// How long --until-valid tries [default: 60].
    #[arg(long, value_name = "SECONDS", requires = "until_valid", value_parser = RangedU64ValueParser::<u64>::new().range(1..=86_400))]
    pub(crate) timeout: Option<u64>,
    /// Puts answers out as puzzles end, not in the order of the input; `id` tells which is which.
    #[arg(long)]
    pub(crate) unordered: bool,
}

/// Options of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The model (or --model).
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// Also prints the kernel calls of a refinement step.
    #[arg(long)]
    pub(crate) plan: bool,
}

/// Options of `convert`.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// The model (or --model).
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// The directory to write; it is made where it is missing.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Keeps only these rows of the puzzle embedding: numbers and ranges, as 0,17,40-47.
    #[arg(long, value_name = "LIST")]
    pub(crate) puzzle_ids: Option<String>,
    /// Rows and columns of a Sudoku's box, as 2x3.
    #[arg(long = "box", value_name = "RxC")]
    pub(crate) box_shape: Option<String>,
}

/// Options of `eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// The model (or --model).
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// Puzzles with solutions: CSV, NDJSON, JSON, or NAME__inputs.npy with NAME__labels.npy beside it; or folders of them.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) data: Vec<PathBuf>,
    /// Only the first N puzzles of each file.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) limit: Option<usize>,
    /// Starts for each puzzle, as in solving; several numbers, as 1,2,4,8, are compared.
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "compare", value_parser = starts())]
    pub(crate) effort: Vec<usize>,
    /// Runs the puzzles in this format too, normally f32, and tells how far the format of --dtype, or else every other, is from it:
    /// accuracy, halting, answers, and the cosine of the states after each step.
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) compare: Option<WeightDtype>,
    /// Draws how many puzzles would be solved with fewer steps, from 1 to --max-steps: a picture in SVG.
    #[arg(long, value_name = "FILE.svg", conflicts_with_all = ["compare", "effort"])]
    pub(crate) curve: Option<PathBuf>,
}

/// Options of `arc`.
#[derive(Debug, Args)]
pub(crate) struct ArcArgs {
    /// ARC tasks: the contest's file of many, or files or folders of one each.
    #[arg(value_name = "TASKS", required = true)]
    pub(crate) tasks: Vec<PathBuf>,
    /// At most N forms of each task, its own first [default: all that the checkpoint knows; 1 if it does not tell tasks apart].
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1 << 20))]
    pub(crate) augment: Option<usize>,
    /// The names of the puzzle embedding's rows [default: identifiers.json beside the model].
    #[arg(long, value_name = "FILE")]
    pub(crate) identifiers: Option<PathBuf>,
    /// The right answers, as the contest publishes them; `output` in the tasks counts too.
    #[arg(long, value_name = "FILE")]
    pub(crate) solutions: Option<PathBuf>,
    /// Predictions that the training code's evaluation has stored, in place of a model.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) predictions: Vec<PathBuf>,
    /// The file to write, in the contest's format.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Options of `trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// The model (or --model).
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// Tokens, and optionally the states to start from.
    #[arg(long, value_name = "FILE")]
    pub(crate) inputs: PathBuf,
    /// Refinement steps to take.
    #[arg(long, value_name = "N", value_parser = steps())]
    pub(crate) steps: usize,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The model (or --model).
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// Times another model beside it, in turns, and compares their answers: the same step as ONNX, or another checkpoint.
    ///
    /// An ONNX graph runs on the CPU in its own numbers, whatever --device and --dtype say.
    #[arg(long, value_name = "MODEL")]
    pub(crate) against: Option<PathBuf>,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The model (or --model).
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
}

/// `--task`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TaskName {
    /// n x n digits
    Sudoku,
    /// rows of `# SGo`
    Maze,
    /// grids of ten colours
    Arc,
    /// the model's own tokens
    Tokens,
}

fn formats() -> impl TypedValueParser<Value = WeightDtype> {
    PossibleValuesParser::new(WeightDtype::ALL.map(WeightDtype::name))
        .try_map(|name| name.parse::<WeightDtype>())
}

/// `--halt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rule {
    /// the halting head
    Head,
    /// the halting head, if the answer verifies
    Verified,
    /// nobody
    Never,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// a terminal without NO_COLOR
    Auto,
    /// even into a file
    Always,
    /// never
    Never,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_string(), value.trim().to_string()))
        }
        _ => Err("expected KEY=VALUE, as in L_cycles=6".into()),
    }
}

/// A number of steps or puzzles, which is not 0.
fn steps() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1 << 20)
}

/// A number of starts.
fn starts() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=trm_runtime::MultiStart::MAX_STARTS as u64)
}

fn probability(text: &str) -> Result<f32, String> {
    let p: f32 = text
        .parse()
        .map_err(|_| "a number from 0 to 1".to_string())?;
    if (0.0..=1.0).contains(&p) {
        Ok(p)
    } else {
        Err("a probability is from 0 to 1".into())
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
