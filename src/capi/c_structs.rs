//! Structs that C callers read: steps and answers.

use std::ffi::{CString, c_char};

use super::guard::c_string;
use crate::session::{Answer, PuzzleStep};
use crate::task::Cells;

/// A truth value that can be unknown.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trm_truth {
    /// Not known.
    TRM_TRUTH_UNKNOWN = -1,
    /// False.
    TRM_TRUTH_NO = 0,
    /// True.
    TRM_TRUTH_YES = 1,
}

impl From<Option<bool>> for trm_truth {
    fn from(known: Option<bool>) -> Self {
        match known {
            None => Self::TRM_TRUTH_UNKNOWN,
            Some(false) => Self::TRM_TRUTH_NO,
            Some(true) => Self::TRM_TRUTH_YES,
        }
    }
}

/// State of a puzzle after a refinement step. Later versions may add fields at the end.
#[repr(C)]
#[derive(Debug)]
pub struct trm_step {
    /// Current answer in UTF-8, in the form of the puzzle: plain text for plain text, else JSON.
    pub answer: *const c_char,
    /// Current answer as tokens, one per cell, row by row.
    pub tokens: *const u32,
    /// Number of tokens.
    pub token_count: usize,
    /// Indices, from 0, of the cells that this step changed. Step 1 is compared with the puzzle.
    pub changed: *const u32,
    /// Number of changed cells.
    pub changed_count: usize,
    /// Number of this step, from 1.
    pub step: u32,
    /// Halting probability: the halting head's estimate that the answer is correct.
    pub halt_probability: f32,
    /// True for the last step of the puzzle.
    pub last: bool,
}

/// Final answer to a puzzle. Later versions may add fields at the end.
#[repr(C)]
#[derive(Debug)]
pub struct trm_answer_record {
    /// Answer in UTF-8, in the form of the puzzle: plain text for plain text, else JSON.
    pub answer: *const c_char,
    /// Answer as tokens, one per cell, row by row.
    pub tokens: *const u32,
    /// Number of tokens.
    pub token_count: usize,
    /// Readable reason why the answer is not valid. NULL = it is valid, or validity is unknown.
    pub why: *const c_char,
    /// Task: "sudoku", "maze", "arc" or "tokens".
    pub task: *const c_char,
    /// Device that computed the answer: "cpu", "gpu" or "reference".
    pub device: *const c_char,
    /// Time from the start of the first step to the end of the last, in milliseconds.
    pub milliseconds: f64,
    /// Whether the answer keeps the puzzle's rules.
    pub valid: trm_truth,
    /// Mazes only: whether the path is a shortest one.
    pub shortest: trm_truth,
    /// Whether the answer equals the solution that came with the puzzle.
    pub correct: trm_truth,
    /// Number of refinement steps that ran.
    pub steps: u32,
    /// The halting head's logit after the last step.
    pub q_halt: f32,
    /// Halting probability after the last step.
    pub halt_probability: f32,
    /// True if the halting rule ended the puzzle, false if it reached the maximum number of steps.
    pub halted: bool,
}

/// A step, with the memory that its [`trm_step`] points to.
pub(super) struct OwnedStep<'a> {
    step: &'a PuzzleStep,
    answer: CString,
    changed: Vec<u32>,
    last: bool,
}

impl<'a> OwnedStep<'a> {
    pub(super) fn new(step: &'a PuzzleStep, last: bool) -> Self {
        OwnedStep {
            step,
            answer: answer_text(&step.cells),
            #[allow(clippy::cast_possible_truncation, reason = "at most 65,536 cells")]
            changed: step.changed.iter().map(|&cell| cell as u32).collect(),
            last,
        }
    }

    /// Returns a view for C, which is valid while `self` lives.
    pub(super) fn as_c(&self) -> trm_step {
        trm_step {
            answer: self.answer.as_ptr(),
            tokens: self.step.tokens.as_ptr(),
            token_count: self.step.tokens.len(),
            changed: self.changed.as_ptr(),
            changed_count: self.changed.len(),
            step: saturating_u32(self.step.step),
            halt_probability: self.step.halt_probability,
            last: self.last,
        }
    }
}

/// An answer, with the memory that its [`trm_answer_record`] points to.
pub(super) struct OwnedAnswer {
    record: trm_answer_record,
    // Never modified: the record points into these fields.
    _texts: [CString; 3],
    _why: Option<CString>,
    _tokens: Vec<u32>,
}

// SAFETY: the pointers point into memory that this struct owns and only reads.
unsafe impl Send for OwnedAnswer {}
// SAFETY: as above.
unsafe impl Sync for OwnedAnswer {}

impl OwnedAnswer {
    pub(super) fn new(answer: Answer) -> Self {
        let texts = [
            answer_text(&answer.cells),
            c_string(answer.task),
            c_string(answer.device),
        ];
        let why = answer.reason.map(c_string);
        let tokens = answer.tokens;
        Self {
            record: trm_answer_record {
                answer: texts[0].as_ptr(),
                tokens: tokens.as_ptr(),
                token_count: tokens.len(),
                why: why.as_ref().map_or(std::ptr::null(), |why| why.as_ptr()),
                task: texts[1].as_ptr(),
                device: texts[2].as_ptr(),
                milliseconds: answer.time.as_secs_f64() * 1e3,
                valid: answer.valid.into(),
                shortest: answer.shortest.into(),
                correct: answer.correct.into(),
                steps: saturating_u32(answer.steps),
                q_halt: answer.halting.q_halt,
                halt_probability: answer.halt_probability,
                halted: answer.halted,
            },
            _texts: texts,
            _why: why,
            _tokens: tokens,
        }
    }

    pub(super) fn record(&self) -> *const trm_answer_record {
        &raw const self.record
    }
}

/// Formats an answer in the form of its puzzle: plain text for plain text, else JSON.
fn answer_text(cells: &Cells) -> CString {
    match cells {
        Cells::Text(text) => c_string(text.as_str()),
        other => c_string(other.to_json().to_string()),
    }
}

fn saturating_u32(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}
