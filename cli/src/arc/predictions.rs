//! Predictions that the training code's evaluation stored, used instead of a model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use trm_runtime::low_level::checkpoint::Checkpoint;
use trm_runtime::task::{Augmentation, crop};
use trm_runtime::{CancelToken, Error, ErrorKind};

use super::AugmentationsByTask;
use super::tasks::Tasks;

/// Adds the stored predictions to the votes, until `stop` is set. Returns how many belong to none
/// of the tasks.
///
/// The files are those that the published evaluation writes with `torch.save`: `inputs` `[N, S]`,
/// `preds` `[N, S]` or `logits` `[N, S, V]`, `q_halt_logits` `[N]`, and `puzzle_identifiers` `[N]`.
pub(super) fn count(
    files: &[PathBuf],
    tasks: &mut Tasks,
    augmentations: &AugmentationsByTask,
    stop: &CancelToken,
) -> trm_runtime::Result<usize> {
    let number: HashMap<&str, usize> = tasks.names.iter().map(String::as_str).zip(0..).collect();
    let mut rows: HashMap<u32, (usize, Augmentation)> = HashMap::new();
    for (name, augmentations) in augmentations {
        let task = number[name.as_str()];
        rows.extend(
            augmentations
                .iter()
                .map(|&(augmentation, row)| (row, (task, augmentation))),
        );
    }
    let mut unrelated = 0;
    for file in files {
        let stored = PredictionFile::open(file)?;
        for i in 0..stored.len {
            if stop.is_cancelled() {
                return Ok(unrelated);
            }
            let Some(&(task, augmentation)) = rows.get(&stored.ids[i]) else {
                unrelated += 1;
                continue;
            };
            let input = augmentation.undo(&crop(&stored.tokens(&stored.inputs, i)?, stored.side));
            let mut tests = tasks
                .tests
                .iter_mut()
                .filter(|test| test.task == task && test.grid == input)
                .peekable();
            if tests.peek().is_none() {
                unrelated += 1;
                continue;
            }
            let answer = augmentation.undo(&crop(&stored.answer(i)?, stored.side));
            let probability = 1.0 / (1.0 + (-stored.q_halt[i]).exp());
            tests.for_each(|test| test.votes.add(&answer, probability.into()));
        }
    }
    Ok(unrelated)
}

/// A file of predictions. Its large tensors are read row by row.
struct PredictionFile {
    path: PathBuf,
    file: Checkpoint,
    inputs: String,
    /// Name of the tensor of answers: `preds` or `logits`.
    answers: String,
    /// V, if the answers are logits.
    vocab: Option<usize>,
    q_halt: Vec<f32>,
    ids: Vec<u32>,
    /// N.
    len: usize,
    /// Rows and columns of the canvas.
    side: usize,
}

impl PredictionFile {
    fn open(path: &Path) -> trm_runtime::Result<Self> {
        let file = Checkpoint::open(path)?;
        let wrong =
            |message: String| Error::new(ErrorKind::Checkpoint, message).context(path.display());
        let shape = |name: &str| file.tensors().get(name).map(|tensor| tensor.shape.clone());
        let needed =
            |name: &str| shape(name).ok_or_else(|| wrong(format!("has no tensor {name:?}")));
        let inputs = needed("inputs")?;
        let &[len, cells] = inputs.as_slice() else {
            return Err(wrong(format!(
                "\"inputs\" has the shape {inputs:?}, expected [N,S]"
            )));
        };
        let side = cells.isqrt();
        if side == 0 || side * side != cells {
            return Err(wrong(format!("{cells} cells are not a square canvas")));
        }
        let (answers, vocab) = match (shape("preds"), shape("logits")) {
            (Some(preds), _) if preds == inputs => ("preds", None),
            (None, Some(logits)) if logits.len() == 3 && logits[..2] == inputs && logits[2] > 0 => {
                ("logits", Some(logits[2]))
            }
            (None, None) => return Err(wrong("has neither \"preds\" nor \"logits\"".into())),
            (Some(_), _) => {
                return Err(wrong(
                    "the shapes of \"preds\" and \"inputs\" differ".into(),
                ));
            }
            (None, Some(_)) => {
                return Err(wrong(
                    "the shape of \"logits\" is not [N,S,V] with N and S from \"inputs\"".into(),
                ));
            }
        };
        let column = |name: &str| {
            let shape = needed(name)?;
            match shape.iter().product::<usize>() == len && shape.first() == Some(&len) {
                true => Ok(file.read(name)?.data),
                false => Err(wrong(format!(
                    "{name:?} has the shape {shape:?}, expected [{len}]"
                ))),
            }
        };
        let q_halt = column("q_halt_logits")?;
        let ids = column("puzzle_identifiers")?.into_iter().map(integer);
        let ids = ids.collect::<trm_runtime::Result<_>>().map_err(|e| {
            e.context("tensor \"puzzle_identifiers\"")
                .context(path.display())
        })?;
        Ok(Self {
            path: path.to_owned(),
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
        let tokens = self.file.read_row(name, row)?.into_iter().map(integer);
        tokens.collect::<trm_runtime::Result<_>>().map_err(|e| {
            e.context(format!("tensor {name:?}, row {row}"))
                .context(self.path.display())
        })
    }

    fn answer(&self, row: usize) -> trm_runtime::Result<Vec<u32>> {
        let Some(vocab) = self.vocab else {
            return self.tokens(&self.answers, row);
        };
        let logits = self.file.read_row(&self.answers, row)?;
        // Of equal logits the first wins, as in PyTorch.
        let argmax = |logits: &[f32]| {
            let best = (0..).zip(logits).min_by(|a, b| b.1.total_cmp(a.1));
            best.map_or(0, |(token, _)| token)
        };
        Ok(logits.chunks(vocab).map(argmax).collect())
    }
}

/// Converts a token or an identifier.
///
/// # Errors
/// It is negative, a fraction, or so large that an f32 does not represent every integer.
#[allow(clippy::cast_possible_truncation, reason = "the value is checked")]
fn integer(value: f32) -> trm_runtime::Result<u32> {
    if (0.0..16_777_216.0).contains(&value) && value.fract() == 0.0 {
        return Ok(value as u32);
    }
    let message = format!("has the value {value}; expected an integer from 0 to 16777215");
    Err(Error::new(ErrorKind::Checkpoint, message))
}
