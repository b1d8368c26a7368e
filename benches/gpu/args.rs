//! The command line of the benchmark.

use std::path::PathBuf;

use trm_runtime::low_level::backend::gpu::KernelSelection;
use trm_runtime::low_level::dtype::WeightDtype;

use crate::models::{MODELS, Scale};

pub(crate) const USAGE: &str = "\
cargo bench --bench gpu -- [OPTIONS]

  --device N              number of the adapter in `trm-run devices` [default: the best]
  --models A,B            from sudoku, maze, small [default: all; with --quick: sudoku,maze]
  --batch 1,16            slots of a batch [default: 1,16,64; with --quick: 1,3]
  --kernels tiled,direct  kernel implementations: auto, tiled, direct, split [default: all]
  --formats f32,int8      weight dtypes: f32, f16, bf16, int8 [default: f32,f16,int8;
                          with --quick: f32,int8]
  --steps-only            time whole steps only, not each kernel
  --quick                 tiny sizes and few runs, for software adapters
  --json FILE             also write the figures to a file";

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) device: Option<usize>,
    pub(crate) models: Vec<String>,
    pub(crate) batches: Vec<usize>,
    pub(crate) selections: Vec<NamedSelection>,
    pub(crate) dtypes: Vec<WeightDtype>,
    pub(crate) steps_only: bool,
    pub(crate) scale: Scale,
    pub(crate) json: Option<PathBuf>,
}

/// A kernel selection and its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NamedSelection {
    pub(crate) name: &'static str,
    pub(crate) selection: KernelSelection,
}

/// All selections that do not measure.
pub(crate) const SELECTIONS: [NamedSelection; 4] = [
    NamedSelection {
        name: "auto",
        selection: KernelSelection::Auto,
    },
    NamedSelection {
        name: "tiled",
        selection: KernelSelection::Tiled,
    },
    NamedSelection {
        name: "direct",
        selection: KernelSelection::Direct,
    },
    NamedSelection {
        name: "split",
        selection: KernelSelection::Split,
    },
];

impl Args {
    /// Parses the arguments. Returns `None` if help is asked for.
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut args = Self {
            device: None,
            models: Vec::new(),
            batches: Vec::new(),
            selections: SELECTIONS.to_vec(),
            dtypes: Vec::new(),
            steps_only: false,
            scale: Scale::Full,
            json: None,
        };
        while let Some(option) = given.next() {
            let mut value = || given.next().ok_or(format!("{option} needs a value"));
            match option.as_str() {
                "--device" => args.device = Some(number(&value()?)?),
                "--models" => args.models = list(&value()?, model)?,
                "--batch" => args.batches = list(&value()?, slots)?,
                "--kernels" => args.selections = list(&value()?, selection)?,
                "--formats" => {
                    args.dtypes = list(&value()?, |name| name.parse().map_err(|e| format!("{e}")))?;
                }
                "--steps-only" => args.steps_only = true,
                "--quick" => args.scale = Scale::Quick,
                "--json" => args.json = Some(value()?.into()),
                // cargo adds it.
                "--bench" => {}
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown option {option}")),
            }
        }
        if args.models.is_empty() {
            args.models = args.scale.models();
        }
        if args.batches.is_empty() {
            args.batches = args.scale.batches();
        }
        if args.dtypes.is_empty() {
            args.dtypes = args.scale.dtypes();
        }
        Ok(Some(args))
    }
}

fn list<T>(text: &str, one: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(|part| one(part.trim())).collect()
}

fn number(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number"))
}

fn slots(text: &str) -> Result<usize, String> {
    match number(text)? {
        0 => Err("a batch has at least one slot".into()),
        slots => Ok(slots),
    }
}

fn model(name: &str) -> Result<String, String> {
    let known = MODELS.contains(&name).then(|| name.to_string());
    known.ok_or(format!(
        "unknown model {name:?}: expected {}",
        MODELS.join(", ")
    ))
}

fn selection(name: &str) -> Result<NamedSelection, String> {
    let known = SELECTIONS.into_iter().find(|s| s.name == name);
    known.ok_or(format!(
        "unknown kernels {name:?}: expected {}",
        SELECTIONS.map(|s| s.name).join(", ")
    ))
}
