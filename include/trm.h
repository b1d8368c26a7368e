/* Tiny Recursive Models (TRM) in C99 and C++.

   Open a model, solve puzzles, observe every refinement step.

   Threads: any thread may call any function at any time, and threads may share handles. A call and
   its callbacks run on the calling thread. Threads that solve with the same solver take turns, step
   by step. Each thread has its own error message.

   Callbacks may call only the functions whose comment allows it. Other functions return
   TRM_STATUS_REENTRY.

   Handles are numbers, not addresses. A freed or foreign handle is an error (TRM_STATUS_HANDLE),
   never undefined behaviour.

   Fork: a child of fork() has none of the parent's threads and devices. Calls with a solver of the
   parent return TRM_STATUS_DEVICE there. Open the model again in the child. Freeing the parent's
   solver in the child does nothing.

   Generated from src/capi by tests/capi.rs. Edit src/capi, not this file. */

#ifndef TRM_H
#define TRM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Version of this interface. Every change that affects an already compiled caller increases it.
#define TRM_ABI_VERSION 1

// Result of a call.
typedef enum trm_status {
  // Success.
  TRM_STATUS_OK = 0,
  // A file cannot be opened or read.
  TRM_STATUS_IO = 1,
  // A model file is damaged, malicious, or in an unsupported format.
  TRM_STATUS_CHECKPOINT = 2,
  // A hyper-parameter is missing, contradictory or out of range.
  TRM_STATUS_CONFIG = 3,
  // A puzzle cannot be parsed, contradicts itself, or does not fit this model.
  TRM_STATUS_PUZZLE = 4,
  // A device is not available or failed.
  TRM_STATUS_DEVICE = 5,
  // An argument is NULL, too long, or out of range.
  TRM_STATUS_ARGUMENT = 6,
  // A step callback, a cancel token, or freeing the solver stopped the call.
  TRM_STATUS_CANCELLED = 7,
  // The time limit expired.
  TRM_STATUS_DEADLINE = 8,
  // A handle is 0, was freed, or has another type.
  TRM_STATUS_HANDLE = 9,
  // Called from inside a callback that must not call this function.
  TRM_STATUS_REENTRY = 10,
  // A bug in this library. Free the solver and do not use it again.
  TRM_STATUS_PANIC = 11,
} trm_status;

// A truth value that can be unknown.
typedef enum trm_truth {
  // Not known.
  TRM_TRUTH_UNKNOWN = -1,
  // False.
  TRM_TRUTH_NO = 0,
  // True.
  TRM_TRUTH_YES = 1,
} trm_truth;

// Options of a solver. `trm_options options = {.size = sizeof options};` selects all defaults:
// a field that is 0 or NULL has its default value. Strings have the values that the options of
// `trm-run` have.
typedef struct trm_options {
  // Required: `sizeof(trm_options)`. It tells the library which fields the caller knows.
  size_t size;
  // Device: "auto", "cpu", "gpu", "gpu:N" or "reference". NULL = "auto".
  const char *device;
  // Folder that keeps the measurements of "auto", so that they run once. NULL = not kept.
  const char *cache_dir;
  // Task: "sudoku", "maze", "arc" or "tokens". NULL = the model's own task.
  const char *task;
  // Dtype of the weights in the model's blocks: "f32", "f16", "bf16" or "int8".
  // NULL = "int8" if the file stores them as int8, else "f32".
  const char *dtype;
  // Halting rule: "head" halts a puzzle when its halting probability is above `halt_threshold`,
  // "verified" also requires a valid answer, "never" always runs `max_steps`.
  // NULL = "verified".
  const char *halt;
  // Threshold of the halting probability, from 0 to 1. 0 = 0.5.
  float halt_threshold;
  // Number of CPU threads. 0 = one per core.
  uint32_t threads;
  // Minimum number of refinement steps for each puzzle. 0 = 1.
  uint32_t min_steps;
  // Maximum number of refinement steps for each puzzle. 0 = the number of steps that the model
  // was trained with.
  uint32_t max_steps;
  // Time limit of each `trm_solver_solve` in milliseconds. 0 = no limit.
  uint32_t time_limit_ms;
} trm_options;

// Handle of a model on a device. 0 is the null handle. Handles are never reused.
typedef uint64_t trm_solver;

// Called exactly once when borrowed bytes are no longer needed, on any thread that calls this
// library.
typedef void (*trm_release)(void *context);

// Handle of a cancel token, which stops solving from another thread. 0 is the null handle.
// Handles are never reused.
typedef uint64_t trm_cancel;

// State of a puzzle after a refinement step. Later versions may add fields at the end.
typedef struct trm_step {
  // Current answer in UTF-8, in the form of the puzzle: plain text for plain text, else JSON.
  const char *answer;
  // Current answer as tokens, one per cell, row by row.
  const uint32_t *tokens;
  // Number of tokens.
  size_t token_count;
  // Indices, from 0, of the cells that this step changed. Step 1 is compared with the puzzle.
  const uint32_t *changed;
  // Number of changed cells.
  size_t changed_count;
  // Number of this step, from 1.
  uint32_t step;
  // Halting probability: the halting head's estimate that the answer is correct.
  float halt_probability;
  // True for the last step of the puzzle.
  bool last;
} trm_step;

// Called after each refinement step, on the solving thread. `step` and everything it points to are
// valid only during the callback. Return false to stop: no further step runs. The return value of
// the last step is ignored. The callback must not throw or `longjmp`.
typedef bool (*trm_on_step)(void *context, const struct trm_step *step);

// Handle of the final answer to a puzzle. 0 is the null handle. Handles are never reused.
typedef uint64_t trm_answer;

// Final answer to a puzzle. Later versions may add fields at the end.
typedef struct trm_answer_record {
  // Answer in UTF-8, in the form of the puzzle: plain text for plain text, else JSON.
  const char *answer;
  // Answer as tokens, one per cell, row by row.
  const uint32_t *tokens;
  // Number of tokens.
  size_t token_count;
  // Readable reason why the answer is not valid. NULL = it is valid, or validity is unknown.
  const char *why;
  // Task: "sudoku", "maze", "arc" or "tokens".
  const char *task;
  // Device that computed the answer: "cpu", "gpu" or "reference".
  const char *device;
  // Time from the start of the first step to the end of the last, in milliseconds.
  double milliseconds;
  // Whether the answer keeps the puzzle's rules.
  enum trm_truth valid;
  // Mazes only: whether the path is a shortest one.
  enum trm_truth shortest;
  // Whether the answer equals the solution that came with the puzzle.
  enum trm_truth correct;
  // Number of refinement steps that ran.
  uint32_t steps;
  // The halting head's logit after the last step.
  float q_halt;
  // Halting probability after the last step.
  float halt_probability;
  // True if the halting rule ended the puzzle, false if it reached the maximum number of steps.
  bool halted;
} trm_answer_record;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns the `TRM_ABI_VERSION` of the linked library. Callbacks may call this function.
uint32_t trm_abi_version(void);

// Returns the version of the library, for example "0.1.0". Callbacks may call this function.
const char *trm_version(void);

// Returns a readable message about the last failed call of this thread, in UTF-8. "" = no call of
// this thread has failed. The message is valid until the next failed call of this thread.
// Callbacks may call this function.
const char *trm_error(void);

// Opens a model from `path`: a file written by `trm-run convert` or by training, or a folder that
// contains one. `options`: NULL = all defaults. On failure `*solver` is 0.
//
// # Safety
// Strings end with a NUL byte. Pointers are NULL or valid during the call.
enum trm_status trm_solver_open(const char *path,
                                const struct trm_options *options,
                                trm_solver *solver);

// Opens a model from `length` bytes in memory: the content of a file written by `trm-run convert`.
// `options`: NULL = all defaults. On failure `*solver` is 0.
//
// `release`: NULL = the library copies the bytes, and the caller may free them as soon as this
// function returns. Otherwise the library borrows the bytes without copying them. They must stay
// valid and unchanged until the library calls `release(context)`. It does so exactly once,
// whatever this function returns: on success when the solver is freed and no call uses it any
// more, on failure before this function returns.
//
// # Safety
// Pointers are NULL or valid during the call. `length` bytes can be read at `bytes`.
enum trm_status trm_solver_from_bytes(const void *bytes,
                                      size_t length,
                                      trm_release release,
                                      void *context,
                                      const struct trm_options *options,
                                      trm_solver *solver);

// Prepares the device of a solver and describes it. `*device` becomes a readable text with the
// device and the reason for choosing it, for example "cpu: a step of this model and batch is
// small". It is valid until this thread calls this function again. On failure `*device` is NULL.
//
// The call can be slow: it loads drivers, and the device "auto" may run measurements. Without this
// call the first `trm_solver_solve` does the same work.
//
// # Safety
// `device` is NULL or valid during the call.
enum trm_status trm_solver_device(trm_solver solver, const char **device);

// Frees a solver. Calls that are solving with it on other threads stop and return
// `TRM_STATUS_CANCELLED`. Its answers stay valid.
//
// In a child of `fork`, a solver of the parent is forgotten and its memory is not freed. The
// parent's solver is not affected, and borrowed bytes are not released.
enum trm_status trm_solver_free(trm_solver solver);

// Solves a puzzle on the calling thread and returns when the puzzle has ended.
//
// `puzzle` is `length` bytes of UTF-8: one puzzle as plain text, for example
// "53..7....6..1...", or as JSON in the form that `trm-run` reads. `cancel`: 0 = no cancel token.
// `on_step`: NULL = no callback. An answer that breaks the puzzle's rules is still an answer: see
// `trm_answer_record.valid`. On failure `*answer` is 0.
//
// Without `on_step`, a GPU keeps several steps in flight. This is faster, but cancelling takes
// effect up to three steps later.
//
// # Safety
// Pointers are NULL or valid during the call. `length` bytes can be read at `puzzle`.
enum trm_status trm_solver_solve(trm_solver solver,
                                 const char *puzzle,
                                 size_t length,
                                 trm_cancel cancel,
                                 trm_on_step on_step,
                                 void *context,
                                 trm_answer *answer);

// Returns the content of an answer. NULL = `answer` is not a valid handle. The record and
// everything it points to are valid until the answer is freed.
const struct trm_answer_record *trm_answer_read(trm_answer answer);

// Frees an answer.
enum trm_status trm_answer_free(trm_answer answer);

// Creates a cancel token. On failure `*cancel` is 0.
//
// # Safety
// `cancel` is NULL or valid during the call.
enum trm_status trm_cancel_new(trm_cancel *cancel);

// Cancels every current and future call that solves with this token: the call returns
// `TRM_STATUS_CANCELLED`, on the CPU within a step. Any thread may call this function at any time,
// and so may callbacks.
enum trm_status trm_cancel_now(trm_cancel cancel);

// Frees a cancel token. Calls that are solving with it continue and can no longer be cancelled
// through it.
enum trm_status trm_cancel_free(trm_cancel cancel);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TRM_H */
