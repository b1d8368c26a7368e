//! The options of the program.

use std::path::PathBuf;

use trm_runtime::low_level::backend::gpu::Kernels;
use trm_runtime::low_level::dtype::WeightDtype;

use crate::models::{MODELS, Scale};

pub(crate) const USAGE: &str = "\
cargo bench --bench gpu -- [OPTIONS]

  --device N              the adapter by its number in `trm-run devices` [default: the best]
  --models A,B            of sudoku, maze, small [default: all; with --quick sudoku,maze]
  --batch 1,16            slots of a batch [default: 1,16,64; with --quick 1,3]
  --kernels tiled,direct  ways of running the kernels, of auto, tiled, direct, split [default: all]
  --formats f32,int8      formats of the weights, of f32, f16, bf16, int8 [default: f32,f16,int8; with --quick
                          f32,int8]
  --steps-only            whole steps, not each kernel
  --quick                 tiny sizes and few runs, for adapters in software
  --json FILE             writes the figures to a file too";

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) device: Option<usize>,
    pub(crate) models: Vec<String>,
    pub(crate) batches: Vec<usize>,
    pub(crate) ways: Vec<Way>,
    pub(crate) formats: Vec<WeightDtype>,
    pub(crate) steps_only: bool,
    pub(crate) scale: Scale,
    pub(crate) json: Option<PathBuf>,
}

/// A way of running the kernels, and its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) kernels: Kernels,
}

/// All of them.
pub(crate) const WAYS: [Way; 4] = [
    Way {
        name: "auto",
        kernels: Kernels::Auto,
    },
    Way {
        name: "tiled",
        kernels: Kernels::Tiled,
    },
    Way {
        name: "direct",
        kernels: Kernels::Direct,
    },
    Way {
        name: "split",
        kernels: Kernels::Split,
    },
];

impl Args {
    /// `None` where help is asked for.
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Option<Args>, String> {
        let mut args = Args {
            device: None,
            models: Vec::new(),
            batches: Vec::new(),
            ways: WAYS.to_vec(),
            formats: Vec::new(),
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
                "--kernels" => args.ways = list(&value()?, way)?,
                "--formats" => {
                    args.formats = list(&value()?, |name| name.parse().map_err(|e| format!("{e}")))?
                }
                "--steps-only" => args.steps_only = true,
                "--quick" => args.scale = Scale::Quick,
                "--json" => args.json = Some(value()?.into()),
                // What cargo adds.
                "--bench" => {}
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("no option {option}")),
            }
        }
        if args.models.is_empty() {
            args.models = args.scale.models();
        }
        if args.batches.is_empty() {
            args.batches = args.scale.batches();
        }
        if args.formats.is_empty() {
            args.formats = args.scale.formats();
        }
        Ok(Some(args))
    }
}

fn list<T>(text: &str, one: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(|part| one(part.trim())).collect()
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn slots(text: &str) -> Result<usize, String> {
    match number(text)? {
        0 => Err("a batch has one slot at least".into()),
        slots => Ok(slots),
    }
}

fn model(name: &str) -> Result<String, String> {
    let known = MODELS.contains(&name).then(|| name.to_string());
    known.ok_or(format!(
        "no model {name:?}: there are {}",
        MODELS.join(", ")
    ))
}

fn way(name: &str) -> Result<Way, String> {
    let known = WAYS.into_iter().find(|way| way.name == name);
    known.ok_or(format!(
        "no way {name:?}: there are {}",
        WAYS.map(|w| w.name).join(", ")
    ))
}
