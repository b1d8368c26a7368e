//! `convert`: writes a model as `config.json` and `model.safetensors`.

use trm_runtime::low_level::output::check_folder;
use trm_runtime::{Error, ErrorKind, SaveOptions};

use crate::args::{ConvertArgs, Shared};
use crate::models::{display_path, model_path, open};
use crate::output::{CommandError, CommandStatus, eprint_line, print};

/// Maximum number of rows in `--puzzle-ids`.
const MAX_PUZZLE_IDS: usize = 1 << 20;

/// Runs the command.
pub(crate) fn run(shared: &Shared, args: &ConvertArgs) -> Result<CommandStatus, CommandError> {
    let box_shape = args.box_shape.as_deref().map(box_shape).transpose()?;
    let puzzle_ids = args.puzzle_ids.as_deref().map(ids).transpose()?;
    let path = model_path(&args.subject, shared)?;
    if args.output.as_os_str() == "-" {
        let message = "-o -: a model is a folder of two files, which standard output cannot take";
        return Err(argument(message).into());
    }
    check_folder(&args.output)?;
    let mut model = open(path, shared)?;
    // The options take precedence over the files.
    if let Some(kind) = shared.task {
        model.config.task = Some(kind.name().to_string());
    }
    if box_shape.is_some() {
        model.config.box_shape = box_shape;
    }
    let options = SaveOptions {
        dtype: shared.dtype.unwrap_or(model.dtype()),
        puzzle_ids,
        ..SaveOptions::default()
    };
    model.save(&args.output, &options)?;
    if shared.json {
        let files = ["config.json", "model.safetensors"]
            .map(|name| args.output.join(name).display().to_string());
        print(serde_json::json!({
            "type": "converted",
            "from": display_path(path),
            "files": files,
            "task": model.config.task,
            "dtype": options.dtype.name(),
        }))?;
    } else if !shared.quiet {
        for name in ["config.json", "model.safetensors"] {
            let file = args.output.join(name);
            let bytes = std::fs::metadata(&file).map_or(0, |m| m.len());
            eprint_line(format_args!("wrote {} ({bytes} bytes)", file.display()));
        }
        if model.config.task.is_none() {
            eprint_line(format_args!(
                "note: the task of the model is not known\nhint: --task writes it into config.json"
            ));
        }
    }
    Ok(CommandStatus::Success)
}

/// Parses `2x3` or `2,3`.
fn box_shape(text: &str) -> trm_runtime::Result<[usize; 2]> {
    let sides = text
        .split_once(['x', 'X', ','])
        .map(|(r, c)| [r.trim().parse::<usize>(), c.trim().parse()]);
    match sides {
        Some([Ok(rows @ 1..=64), Ok(cols @ 1..=64)]) => Ok([rows, cols]),
        _ => Err(argument(format!(
            "--box {text}: expected rows x columns of a box, such as 2x3"
        ))),
    }
}

/// Parses a list such as `0,17,40-47`.
fn ids(list: &str) -> trm_runtime::Result<Vec<u32>> {
    let bad = |part: &str| {
        argument(format!(
            "--puzzle-ids {part:?}: expected numbers and ranges, such as 0,17,40-47"
        ))
    };
    let mut ids = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let [first, last] = [first, last].map(|n| n.trim().parse::<u32>());
        let (Ok(first), Ok(last)) = (first, last) else {
            return Err(bad(part));
        };
        if first > last {
            return Err(bad(part));
        }
        if ids.len() as u64 + u64::from(last - first) >= MAX_PUZZLE_IDS as u64 {
            return Err(argument(format!(
                "--puzzle-ids: more than {MAX_PUZZLE_IDS} rows"
            )));
        }
        ids.extend(first..=last);
    }
    Ok(ids)
}

fn argument(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Argument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ids() {
        assert_eq!(ids("0, 17,40-42").unwrap(), [0, 17, 40, 41, 42]);
        for bad in ["", "x", "4-2", "1,,2", "-3", "0-4294967295"] {
            assert!(ids(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn boxes() {
        assert_eq!(box_shape("2x3").unwrap(), [2, 3]);
        assert_eq!(box_shape("3,2").unwrap(), [3, 2]);
        for bad in ["", "2", "0x3", "2x3x4", "2x999"] {
            assert!(box_shape(bad).is_err(), "{bad:?}");
        }
    }
}
