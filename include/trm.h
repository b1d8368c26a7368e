/* Tiny Recursive Models in C: open a model, solve puzzles, watch each refinement step. C99 and C++.

   Threads: every function may be called from any thread at any time, handles may be shared. A call runs on the thread that calls,
   callbacks too; several threads that solve with one solver take turns, step by step. Error texts belong to the thread.
   Callbacks may call only what says so; the rest answers TRM_STATUS_REENTRY.
   Handles are numbers, not addresses: a freed or foreign one is an error, TRM_STATUS_HANDLE, never undefined behaviour.

   Made from src/capi by tests/capi.rs: change it there. */

#ifndef TRM_H
#define TRM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The version of this interface: it grows with every change that a compiled caller would notice.
#define TRM_ABI_VERSION 1

// How a call ended.
typedef enum trm_status {
  // It did what it says.
  TRM_STATUS_OK = 0,
  // A file could not be opened or read.
  TRM_STATUS_IO = 1,
  // A model file is damaged, hostile, or in a form that is not supported.
  TRM_STATUS_CHECKPOINT = 2,
  // A hyper-parameter is missing, contradictory or out of range.
  TRM_STATUS_CONFIG = 3,
  // A puzzle cannot be read, or is impossible, or is none for this model.
  TRM_STATUS_PUZZLE = 4,
  // A device is not available, or failed.
  TRM_STATUS_DEVICE = 5,
  // An argument is null, too long, or out of range.
  TRM_STATUS_ARGUMENT = 6,
  // A step callback or a cancel token stopped it, or its solver was freed meanwhile.
  TRM_STATUS_CANCELLED = 7,
  // The time limit passed.
  TRM_STATUS_DEADLINE = 8,
  // A handle is 0, was freed, or belongs to something else.
  TRM_STATUS_HANDLE = 9,
  // Called from inside a callback.
  TRM_STATUS_REENTRY = 10,
  // A bug of this library. The solver can be freed; better do not use it further.
  TRM_STATUS_PANIC = 11,
} trm_status;

// Yes, no, or nobody can tell.
typedef enum trm_truth {
  // It cannot be told.
  TRM_TRUTH_UNKNOWN = -1,
  // No.
  TRM_TRUTH_NO = 0,
  // Yes.
  TRM_TRUTH_YES = 1,
} trm_truth;

// How a solver works. A field that is 0 or null has its default, so `trm_options options = {.size = sizeof options};` changes nothing.
// Names are those of `trm-run`'s options.
typedef struct trm_options {
  // `sizeof(trm_options)`: which fields the caller knows.
  size_t size;
  // "auto" (default), "cpu", "gpu", "gpu:N", "reference".
  const char *device;
  // A folder for what is measured to choose a device, so that it is measured once; nowhere by default.
  const char *cache_dir;
  // "sudoku", "maze", "arc", "tokens"; the model's own by default.
  const char *task;
  // "f32", "f16", "bf16", "int8": the weights of the blocks; by default "int8" if the file has them so, else "f32".
  const char *dtype;
  // "verified" (default), "head", "never": who decides that a puzzle halts.
  const char *halt;
  // The head says "halt" above this probability; 0.5 by default.
  float halt_threshold;
  // Threads of the CPU; all that there are by default.
  uint32_t threads;
  // No puzzle halts before this many steps; 1 by default.
  uint32_t min_steps;
  // Every puzzle ends after this many steps; as many as the model was trained for by default.
  uint32_t max_steps;
  // Milliseconds for each `trm_solver_solve`; no limit by default.
  uint32_t time_limit_ms;
} trm_options;

// A model on a device. 0 is none; a number is never used twice.
typedef uint64_t trm_solver;

// Called once when bytes that were lent are no longer needed, on any thread that calls this library.
typedef void (*trm_release)(void *context);

// Stops solving from another thread. 0 is none; a number is never used twice.
typedef uint64_t trm_cancel;

// A puzzle after a refinement step. Later versions may add fields at the end.
typedef struct trm_step {
  // The answer as it stands, in the form of the puzzle: plain text as it was given, otherwise JSON. UTF-8.
  const char *answer;
  // The answer as it stands: a token for each cell, row by row.
  const uint32_t *tokens;
  // How many tokens.
  size_t token_count;
  // The cells that the step changed, counted from 0; in step 1, those that differ from the puzzle.
  const uint32_t *changed;
  // How many cells changed.
  size_t changed_count;
  // Steps taken, from 1.
  uint32_t step;
  // What the halting head says: the probability that the answer is right.
  float halt_probability;
  // Whether it is the last one: an answer follows.
  bool last;
} trm_step;

// Called after each refinement step, on the thread that solves. The step and all that it points to end with the call. False
// stops: no further step is taken. After the last step what it says does not count. It must not throw or jump out.
typedef bool (*trm_on_step)(void *context, const struct trm_step *step);

// How a puzzle ended. 0 is none; a number is never used twice.
typedef uint64_t trm_answer;

// How a puzzle ended. Later versions may add fields at the end.
typedef struct trm_answer_record {
  // The answer, in the form of the puzzle: plain text as it was given, otherwise JSON. UTF-8.
  const char *answer;
  // The answer: a token for each cell, row by row.
  const uint32_t *tokens;
  // How many tokens.
  size_t token_count;
  // What is wrong with the answer, for people; null if nothing is, or nobody can tell.
  const char *why;
  // "sudoku", "maze", "arc", "tokens".
  const char *task;
  // The device that computed it: "cpu", "gpu", "reference".
  const char *device;
  // Milliseconds from the first step to the last.
  double milliseconds;
  // Whether it keeps the puzzle's rules.
  enum trm_truth valid;
  // Mazes: whether the path is a shortest one.
  enum trm_truth shortest;
  // Whether it equals the solution that came with the puzzle.
  enum trm_truth correct;
  // Steps taken.
  uint32_t steps;
  // The halting head's logit at the end.
  float q_halt;
  // The halting probability at the end.
  float halt_probability;
  // It halted by itself; otherwise it ran into the last step.
  bool halted;
} trm_answer_record;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The `TRM_ABI_VERSION` of the library that is linked. May be called from a callback.
uint32_t trm_abi_version(void);

// The version of the library, as "0.1.0". May be called from a callback.
const char *trm_version(void);

// What went wrong in this thread's last call that failed, in UTF-8, for people. It stays until this thread's next failure; "" if there
// was none. May be called from a callback.
const char *trm_error(void);

// Opens a model: a file that `trm-run convert` or training wrote, or a folder with one. `options` may be null. `*solver` is 0 if
// that fails.
//
// # Safety
// Strings end with the byte 0, pointers are null or valid during the call.
enum trm_status trm_solver_open(const char *path,
                                const struct trm_options *options,
                                trm_solver *solver);

// A model from the bytes of a file that `trm-run convert` wrote. `options` may be null. `*solver` is 0 if that fails.
//
// With `release` the bytes are lent and not copied: they must neither change nor go before the library calls `release(context)`.
// It does so exactly once, whatever this function returns: when the solver is freed and nothing solves with it any more, or
// before this function returns if it fails. Without `release` the bytes are copied and may go when this function returns.
//
// # Safety
// Pointers are null or valid during the call; `length` bytes can be read at `bytes`.
enum trm_status trm_solver_from_bytes(const void *bytes,
                                      size_t length,
                                      trm_release release,
                                      void *context,
                                      const struct trm_options *options,
                                      trm_solver *solver);

// Makes the device ready, which the first `trm_solver_solve` does otherwise, and tells which it is and why, for people, as
// "cpu: a step of this model and batch is small". It may take a moment: drivers are loaded and `auto` may measure. The text stays until
// this thread calls this function again.
//
// # Safety
// `device` is null or valid during the call.
enum trm_status trm_solver_device(trm_solver solver,
                                  const char **device);

// Frees a solver. What solves with it on other threads stops before its next step with `TRM_STATUS_CANCELLED`; answers stay.
enum trm_status trm_solver_free(trm_solver solver);

// Solves a puzzle, on this thread, and returns when it is done. `puzzle` is `length` bytes of UTF-8: the plain text of one puzzle,
// as "53..7....6..1...", or JSON, as `trm-run` reads it. `cancel` may be 0, `on_step` null. `*answer` is 0 if there is none; an
// answer that breaks the rules is one.
//
// Without `on_step` a GPU works several steps ahead: faster, and stopped a few steps later.
//
// # Safety
// Pointers are null or valid during the call; `length` bytes can be read at `puzzle`.
enum trm_status trm_solver_solve(trm_solver solver,
                                 const char *puzzle,
                                 size_t length,
                                 trm_cancel cancel,
                                 trm_on_step on_step,
                                 void *context,
                                 trm_answer *answer);

// What an answer says; null if there is none such. The record and all that it points to stay until the answer is freed.
const struct trm_answer_record *trm_answer_read(trm_answer answer);

// Frees an answer.
enum trm_status trm_answer_free(trm_answer answer);

// A new cancel token. `*cancel` is 0 if that fails.
//
// # Safety
// `cancel` is null or valid during the call.
enum trm_status trm_cancel_new(trm_cancel *cancel);

// Stops everything that solves, or will solve, with this token: the step in flight ends, the call returns `TRM_STATUS_CANCELLED`.
// May be called from any thread at any time, and from a callback.
enum trm_status trm_cancel_now(trm_cancel cancel);

// Frees a cancel token. What solves with it goes on and can no longer be stopped by it.
enum trm_status trm_cancel_free(trm_cancel cancel);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TRM_H */
