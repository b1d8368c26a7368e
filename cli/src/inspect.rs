//! `inspect`: describes a model.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use trm_runtime::low_level::plan::Plan;
use trm_runtime::{Model, Solver};

use crate::args::{InspectArgs, Shared};
use crate::models::{display_path, model_path, open};
use crate::output::{CommandError, CommandStatus, print, print_text, printable};
use crate::report::rounded;

/// Runs the command.
pub(crate) fn run(shared: &Shared, args: &InspectArgs) -> Result<CommandStatus, CommandError> {
    let path = model_path(&args.subject, shared)?;
    let solver = Solver::builder().build(open(path, shared)?)?;
    let model = solver.model().as_ref();
    // Only a checkpoint has a plan, and only for a known number of tokens.
    let plan = match (model.checkpoint(), model.config.seq_len) {
        (Some(_), Some(tokens)) => Some(solver.plan(tokens)?),
        _ => None,
    };
    if shared.json {
        print(object(&display_path(path), model, plan.as_ref(), args.plan))?;
        return Ok(CommandStatus::Success);
    }
    print(printable(
        text(&display_path(path), model, plan.as_ref()).trim_end(),
    ))?;
    if args.plan {
        match plan {
            Some(plan) => print_text(format_args!(
                "\nplan for {} tokens\n{}",
                plan.dims.tokens,
                plan.to_string().trim_end()
            ))?,
            None if model.is_onnx() => print("\nplan: not available for an ONNX graph")?,
            None => print_text(format_args!("\nplan: {SIZE_UNKNOWN}"))?,
        }
    }
    Ok(CommandStatus::Success)
}

/// Shown where a value depends on the number of tokens, and the model takes any.
const SIZE_UNKNOWN: &str = "unknown; give the number of tokens, such as --set seq_len=81";

/// Returns the source of a hyper-parameter. The library says `option`; here the option is `--set`.
fn source(from: &str) -> &str {
    if from == "option" {
        "option --set"
    } else {
        from
    }
}

/// Returns the name of the variant, or the states of an ONNX graph.
fn variant(model: &Model) -> String {
    if !model.is_onnx() {
        return model.config.variant.name().to_string();
    }
    let states: Vec<String> = model
        .config
        .states()
        .into_iter()
        .map(|s| s.name())
        .collect();
    format!("ONNX graph with the states {}", states.join(", "))
}

/// Returns the number of trained parameters, with and without the puzzle embedding, or `None` if
/// the tensors are not known. The initial states are not trained.
fn parameters(model: &Model) -> Option<[u64; 2]> {
    model.checkpoint()?;
    let count = |embedding: bool| {
        let trained = model
            .tensors
            .iter()
            .filter(|t| !t.name.ends_with("_init") && !t.name.ends_with(".scale"));
        let chosen = trained.filter(|t| embedding || !t.name.starts_with("puzzle_emb"));
        chosen
            .map(|t| t.shape.iter().product::<usize>() as u64)
            .sum()
    };
    Some([count(true), count(false)])
}

fn object(path: &str, model: &Model, plan: Option<&Plan>, with_plan: bool) -> Value {
    let parameters = parameters(model);
    let hyper: Map<String, Value> = model
        .provenance
        .iter()
        .map(|p| {
            (
                p.name.to_string(),
                json!({ "value": p.value, "from": source(&p.from) }),
            )
        })
        .collect();
    let tensors: Vec<Value> = model
        .tensors
        .iter()
        .map(|t| {
            json!({
                "name": t.name,
                "stored_name": t.stored_name,
                "shape": t.shape,
                "dtype": t.dtype.name(),
                "bytes": t.bytes,
            })
        })
        .collect();
    // The configuration of an ONNX graph has 0 for what is not known; its sources list the rest.
    let config = match model.checkpoint() {
        None => model
            .provenance
            .iter()
            .map(|p| (p.name.to_string(), p.value.clone()))
            .collect(),
        Some(_) => model.config.to_json(),
    };
    let mut object = json!({
        "type": "model",
        "path": path,
        "file": model.path.as_ref().map(|p| p.display().to_string()),
        "variant": variant(model),
        "config": config,
        "hyper_parameters": hyper,
        "parameters": parameters.map(|[all, _]| all),
        "parameters_without_puzzle_emb": parameters.map(|[_, trunk]| trunk),
        "gflop_per_step": plan.map(|p| rounded(p.gflop_per_step(), 6)),
        "bytes": model.tensors.iter().map(|t| t.bytes).sum::<u64>(),
        "tensors": tensors,
        "notes": model.notes,
    });
    if let (true, Some(plan), Some(fields)) = (with_plan, plan, object.as_object_mut()) {
        let names = |buffers: Vec<trm_runtime::low_level::plan::Buffer>| {
            buffers.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let calls: Vec<Value> = plan
            .calls
            .iter()
            .enumerate()
            .map(|(i, call)| {
                json!({
                    "kernel": call.kernel(),
                    "once": plan.embed().contains(&i),
                    "reads": names(call.reads()),
                    "writes": names(call.writes()),
                    "weights": call.weights().iter().map(|w| w.name()).collect::<Vec<_>>(),
                    "flop": call.flops(&plan.dims),
                })
            })
            .collect();
        fields.insert("plan".into(), calls.into());
    }
    object
}

fn text(path: &str, model: &Model, plan: Option<&Plan>) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:<22} {value}");
    };
    line("model", path.to_string());
    if let Some(file) = model
        .path
        .as_ref()
        .map(|p| p.display().to_string())
        .filter(|f| f != path)
    {
        line("file", file);
    }
    line("variant", variant(model));
    if let Some([all, trunk]) = parameters(model) {
        line("parameters", grouped(all));
        if trunk != all {
            line("  without puzzle_emb", grouped(trunk));
        }
        line(
            "GFLOP per step",
            match plan {
                Some(plan) => format!(
                    "{:.4} for {} tokens",
                    plan.gflop_per_step(),
                    plan.dims.tokens
                ),
                None => SIZE_UNKNOWN.to_string(),
            },
        );
    }
    for note in &model.notes {
        line("note", note.clone());
    }
    let _ = writeln!(out, "\nhyper-parameters");
    for p in &model.provenance {
        let value = p.value.to_string();
        let value = value.trim_matches('"');
        let _ = writeln!(out, "  {:<22} {value:<10} {}", p.name, source(&p.from));
    }
    if model.checkpoint().is_none() {
        return out;
    }
    let _ = writeln!(out, "\ntensors");
    let width = model
        .tensors
        .iter()
        .map(|t| t.name.len())
        .max()
        .unwrap_or(0);
    for t in &model.tensors {
        let shape = t
            .shape
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(" x ");
        let _ = writeln!(
            out,
            "  {:<width$}  {:<14} {:<5} {:>12} bytes",
            t.name,
            shape,
            t.dtype.name(),
            grouped(t.bytes)
        );
    }
    out
}

/// Groups the digits of a number: 5028866 is `5,028,866`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 5_028_866].map(super::grouped),
            ["0", "999", "1,000", "5,028,866"]
        );
    }
}
