/* Solves a puzzle and prints each refinement step. Run from the repository root:
     cargo rustc --release --lib --crate-type cdylib --no-default-features --features capi,gpu
     cc -std=c99 -Iinclude examples/c/solve.c -Ltarget/release -ltrm_runtime \
        -Wl,-rpath,target/release -o solve
     ./solve models/sudoku-4x4 0000020440102103
   Exit code: 0 = solved or not checkable, 1 = invalid answer, 2 = error. */

#include "trm.h"

#include <stdio.h>
#include <string.h>

static bool on_step(void *context, const trm_step *step) {
    (void)context;
    printf("step %u  halt %.2f  %s\n", (unsigned)step->step, step->halt_probability, step->answer);
    return true; /* false would stop the solver */
}

static int print_error(void) {
    fprintf(stderr, "error: %s\n", trm_error());
    return 2;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL PUZZLE\n", argv[0]);
        return 2;
    }
    trm_options options = {.size = sizeof options}; /* all defaults */
    trm_solver solver;
    if (trm_solver_open(argv[1], &options, &solver) != TRM_STATUS_OK)
        return print_error();

    trm_answer answer;
    if (trm_solver_solve(solver, argv[2], strlen(argv[2]), 0, on_step, NULL, &answer) !=
        TRM_STATUS_OK)
        return print_error();

    const trm_answer_record *record = trm_answer_read(answer);
    printf("%s: %s after %u steps, %.1f ms on the %s\n", record->answer,
           record->valid == TRM_TRUTH_YES ? "valid"
           : record->why                  ? record->why
                                          : "cannot be checked",
           (unsigned)record->steps, record->milliseconds, record->device);
    int code = record->valid == TRM_TRUTH_NO;
    trm_answer_free(answer);
    trm_solver_free(solver);
    return code;
}
