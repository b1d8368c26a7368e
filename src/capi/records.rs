//! What callers read: steps and answers.

use std::ffi::{CString, c_char};

use super::guard::c_string;
use crate::session::{Answer, PuzzleStep};
use crate::task::Cells;

/// Yes, no, or nobody can tell.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trm_truth {
    /// It cannot be told.
    TRM_TRUTH_UNKNOWN = -1,
    /// No.
    TRM_TRUTH_NO = 0,
    /// Yes.
    TRM_TRUTH_YES = 1,
}

impl From<Option<bool>> for trm_truth {
    fn from(known: Option<bool>) -> trm_truth {
        match known {
            None => trm_truth::TRM_TRUTH_UNKNOWN,
            Some(false) => trm_truth::TRM_TRUTH_NO,
            Some(true) => trm_truth::TRM_TRUTH_YES,
        }
    }
}

/// A puzzle after a refinement step. Later versions may add fields at the end.
#[repr(C)]
#[derive(Debug)]
pub struct trm_step {
    /// The answer as it stands, in the form of the puzzle: plain text as it was given, otherwise JSON. UTF-8.
    pub answer: *const c_char,
    /// The answer as it stands: a token for each cell, row by row.
    pub tokens: *const u32,
    /// How many tokens.
    pub token_count: usize,
    /// The cells that the step changed, counted from 0; in step 1, those that differ from the puzzle.
    pub changed: *const u32,
    /// How many cells changed.
    pub changed_count: usize,
    /// Steps taken, from 1.
    pub step: u32,
    /// What the halting head says: the probability that the answer is right.
    pub halt_probability: f32,
    /// Whether it is the last one: an answer follows.
    pub last: bool,
}

/// How a puzzle ended. Later versions may add fields at the end.
#[repr(C)]
#[derive(Debug)]
pub struct trm_answer_record {
    /// The answer, in the form of the puzzle: plain text as it was given, otherwise JSON. UTF-8.
    pub answer: *const c_char,
    /// The answer: a token for each cell, row by row.
    pub tokens: *const u32,
    /// How many tokens.
    pub token_count: usize,
    /// What is wrong with the answer, for people; null if nothing is, or nobody can tell.
    pub why: *const c_char,
    /// "sudoku", "maze", "arc", "tokens".
    pub task: *const c_char,
    /// The device that computed it: "cpu", "gpu", "reference".
    pub device: *const c_char,
    /// Milliseconds from the first step to the last.
    pub milliseconds: f64,
    /// Whether it keeps the puzzle's rules.
    pub valid: trm_truth,
    /// Mazes: whether the path is a shortest one.
    pub shortest: trm_truth,
    /// Whether it equals the solution that came with the puzzle.
    pub correct: trm_truth,
    /// Steps taken.
    pub steps: u32,
    /// The halting head's logit at the end.
    pub q_halt: f32,
    /// The halting probability at the end.
    pub halt_probability: f32,
    /// It halted by itself; otherwise it ran into the last step.
    pub halted: bool,
}

/// A step, and the memory that [`trm_step`] points to.
pub(super) struct StepRecord<'a> {
    step: &'a PuzzleStep,
    answer: CString,
    changed: Vec<u32>,
    last: bool,
}

impl<'a> StepRecord<'a> {
    pub(super) fn new(step: &'a PuzzleStep, last: bool) -> StepRecord<'a> {
        StepRecord {
            step,
            answer: form(&step.answer),
            // Cells of a puzzle: 65,536 at most.
            changed: step.changed.iter().map(|&cell| cell as u32).collect(),
            last,
        }
    }

    pub(super) fn for_c(&self) -> trm_step {
        trm_step {
            answer: self.answer.as_ptr(),
            tokens: self.step.tokens.as_ptr(),
            token_count: self.step.tokens.len(),
            changed: self.changed.as_ptr(),
            changed_count: self.changed.len(),
            step: count(self.step.step),
            halt_probability: self.step.halt_probability,
            last: self.last,
        }
    }
}

/// An answer, and the memory that [`trm_answer_record`] points to.
pub(super) struct AnswerRecord {
    record: trm_answer_record,
    // Never touched again: the record points into them.
    _texts: [CString; 3],
    _why: Option<CString>,
    _tokens: Vec<u32>,
}

// SAFETY: the pointers lead to memory of the record's own, which is only read.
unsafe impl Send for AnswerRecord {}
// SAFETY: as above.
unsafe impl Sync for AnswerRecord {}

impl AnswerRecord {
    pub(super) fn new(answer: Answer) -> AnswerRecord {
        let texts = [
            form(&answer.answer),
            c_string(answer.task),
            c_string(answer.device),
        ];
        let why = answer.why.map(c_string);
        let tokens = answer.tokens;
        AnswerRecord {
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
                steps: count(answer.steps),
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

/// An answer in the form of its puzzle.
fn form(content: &Cells) -> CString {
    match content {
        Cells::Text(text) => c_string(text.as_str()),
        other => c_string(other.to_json().to_string()),
    }
}

fn count(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}
