//! What the user can do about an error, in terms of our command line.
//!
//! The library describes the remedy as a [`Hint`] and knows no flags.

use trm_runtime::{Error, Hint};

/// Returns the hint of an error, worded with our flags and without a full stop.
pub(crate) fn hint(error: &Error) -> Option<String> {
    let text = match error.hint()? {
        Hint::SetHyperparameters(examples) => {
            let options = examples
                .iter()
                .map(|(name, value)| format!("--set {name}={value}"));
            let options: Vec<String> = options.collect();
            format!(
                "give {}, or a file with --config (all_config.yaml or config.json)",
                options.join(" ")
            )
        }
        Hint::ChooseTask(kinds) => match kinds.split_last() {
            Some((last, [])) => format!("if the model was trained for it, give --task {last}"),
            Some((last, others)) => format!("give --task {} or {last}", others.join(", ")),
            None => "give --task".into(),
        },
        Hint::ChooseModel => "give a model with --model".into(),
        Hint::UseCpu => "use the CPU with --device cpu".into(),
        Hint::ListDevices => "`trm-run devices` lists the GPUs".into(),
        Hint::ReduceBatch => "use a smaller --batch".into(),
        Hint::IgnoreUnknownTensors => {
            "--ignore-unknown-tensors opens the model without these tensors".into()
        }
        Hint::DownloadFile(address) => {
            format!("download it first, for example with `curl -L -O {address}`, and give the file")
        }
        Hint::FetchFromHub(name) => format!(
            "if this is a model on the Hugging Face Hub, fetch it first with `hf download {name} \
             --local-dir {}`, and give that folder",
            name.rsplit('/').next().unwrap_or(name)
        ),
        Hint::ReduceThreads => "use fewer threads with --threads".into(),
        Hint::RepairWeights => {
            "convert the checkpoint that training wrote again; f32 holds all of its numbers".into()
        }
        // A hint of a newer library.
        _ => return None,
    };
    Some(text)
}

/// Returns the message of an error, followed by its hint, for output with one field for both.
pub(crate) fn message_with_hint(error: &Error) -> String {
    match hint(error) {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trm_runtime::ErrorKind;

    #[test]
    fn hints_name_our_flags() {
        let missing = [("H_cycles", "3"), ("seq_len", "81")];
        let missing = missing.map(|(name, value)| (name.to_string(), value.to_string()));
        let cases = [
            (
                Hint::SetHyperparameters(missing.to_vec()),
                "give --set H_cycles=3 --set seq_len=81,",
            ),
            (
                Hint::ChooseTask(vec!["sudoku", "arc", "tokens"]),
                "give --task sudoku, arc or tokens",
            ),
            (Hint::ChooseTask(vec!["maze"]), "give --task maze"),
            (Hint::ChooseModel, "--model"),
            (Hint::UseCpu, "--device cpu"),
            (Hint::ListDevices, "trm-run devices"),
            (Hint::ReduceBatch, "--batch"),
            (Hint::IgnoreUnknownTensors, "--ignore-unknown-tensors"),
            (
                Hint::DownloadFile("https://x/m.pt".into()),
                "curl -L -O https://x/m.pt",
            ),
            (
                Hint::FetchFromHub("user/model".into()),
                "hf download user/model --local-dir model",
            ),
            (Hint::ReduceThreads, "--threads"),
            (Hint::RepairWeights, "f32"),
        ];
        for (given, expected) in cases {
            let error = Error::new(ErrorKind::Argument, "wrong").with_hint(given);
            let text = hint(&error).expect(expected);
            assert!(text.contains(expected), "{text}");
            assert_eq!(message_with_hint(&error), format!("wrong; {text}"));
        }
        let error = Error::new(ErrorKind::Argument, "wrong");
        assert_eq!(
            (hint(&error), message_with_hint(&error)),
            (None, "wrong".to_string())
        );
    }
}
