//! Predictions that a training's evaluation has stored, in place of a model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use trm_runtime::low_level::checkpoint::Checkpoint;
use trm_runtime::task::{Augmentation, crop};
use trm_runtime::{Error, ErrorKind};

use super::Forms;
use super::tasks::Tasks;

/// Counts the predictions of files with `inputs` `[N, S]`, `preds` `[N, S]` (or `logits` `[N, S, V]`), `q_halt_logits` `[N]` and
/// `puzzle_identifiers` `[N]`, which the published evaluation writes with `torch.save`. How many belong to none of the tasks.
pub(super) fn count(
    files: &[PathBuf],
    tasks: &mut Tasks,
    forms: &Forms,
) -> trm_runtime::Result<usize> {
    let number: HashMap<&str, usize> = tasks.names.iter().map(String::as_str).zip(0..).collect();
    let mut rows: HashMap<u32, (usize, Augmentation)> = HashMap::new();
    for (name, forms) in forms {
        let task = number[name.as_str()];
        rows.extend(forms.iter().map(|&(form, row)| (row, (task, form))));
    }
    let mut foreign = 0;
    for file in files {
        let stored = Stored::open(file)?;
        for i in 0..stored.len {
            let Some(&(task, form)) = rows.get(&(stored.ids[i] as u32)) else {
                foreign += 1;
                continue;
            };
            let input = form.undo(&crop(&stored.tokens(&stored.inputs, i)?, stored.side));
            let mut tests = tasks
                .tests
                .iter_mut()
                .filter(|test| test.task == task && test.grid == input)
                .peekable();
            if tests.peek().is_none() {
                foreign += 1;
                continue;
            }
            let answer = form.undo(&crop(&stored.answer(i)?, stored.side));
            let probability = 1.0 / (1.0 + (-stored.q_halt[i]).exp());
            tests.for_each(|test| test.votes.add(&answer, probability.into()));
        }
    }
    Ok(foreign)
}

/// One of the files. Its large tensors are read row by row.
struct Stored {
    file: Checkpoint,
    inputs: String,
    /// `preds`, or `logits`.
    answers: String,
    /// V, of logits.
    vocab: Option<usize>,
    q_halt: Vec<f32>,
    ids: Vec<f32>,
    /// Rows of predictions.
    len: usize,
    /// Rows and columns of the canvas.
    side: usize,
}

impl Stored {
    fn open(path: &Path) -> trm_runtime::Result<Stored> {
        let file = Checkpoint::open(path)?;
        let wrong =
            |message: String| Error::new(ErrorKind::Checkpoint, message).context(path.display());
        let shape = |name: &str| file.tensors().get(name).map(|tensor| tensor.shape.clone());
        let needed =
            |name: &str| shape(name).ok_or_else(|| wrong(format!("has no tensor {name:?}")));
        let inputs = needed("inputs")?;
        let &[len, cells] = inputs.as_slice() else {
            return Err(wrong(format!(
                "\"inputs\" has the shape {inputs:?}, not [N,S]"
            )));
        };
        let side = cells.isqrt();
        if side == 0 || side * side != cells {
            return Err(wrong(format!("{cells} cells are no square canvas")));
        }
        let (answers, vocab) = match (shape("preds"), shape("logits")) {
            (Some(preds), _) if preds == inputs => ("preds", None),
            (None, Some(logits)) if logits.len() == 3 && logits[..2] == inputs && logits[2] > 0 => {
                ("logits", Some(logits[2]))
            }
            (None, None) => return Err(wrong("has neither \"preds\" nor \"logits\"".into())),
            (Some(_), _) => return Err(wrong("\"preds\" has not the shape of \"inputs\"".into())),
            (None, Some(_)) => {
                return Err(wrong(
                    "\"logits\" is not [N,S,V] with the N and S of \"inputs\"".into(),
                ));
            }
        };
        let column = |name: &str| {
            let shape = needed(name)?;
            match shape.iter().product::<usize>() == len && shape.first() == Some(&len) {
                true => Ok(file.read(name)?.data),
                false => Err(wrong(format!(
                    "{name:?} has the shape {shape:?}, not [{len}]"
                ))),
            }
        };
        let (q_halt, ids) = (column("q_halt_logits")?, column("puzzle_identifiers")?);
        Ok(Stored {
            file,
            inputs: "inputs".into(),
            answers: answers.into(),
            vocab,
            q_halt,
            ids,
            len,
            side,
        })
    }

    fn tokens(&self, name: &str, row: usize) -> trm_runtime::Result<Vec<u32>> {
        Ok(self
            .file
            .read_row(name, row)?
            .into_iter()
            .map(|token| token as u32)
            .collect())
    }

    fn answer(&self, row: usize) -> trm_runtime::Result<Vec<u32>> {
        let Some(vocab) = self.vocab else {
            return self.tokens(&self.answers, row);
        };
        let logits = self.file.read_row(&self.answers, row)?;
        // Of equals the first, as PyTorch has it.
        let likeliest = |logits: &[f32]| {
            (0..logits.len())
                .rev()
                .max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
                .unwrap_or(0)
        };
        Ok(logits
            .chunks(vocab)
            .map(|logits| likeliest(logits) as u32)
            .collect())
    }
}
