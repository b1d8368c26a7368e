/* Uses and misuses the C ABI. tests/capi.rs runs it, also under valgrind if installed.
   usage: misuse MODEL_FILE
   MODEL_FILE is the model for 4x4 Sudokus. Prints every failed check. The exit code is the number
   of failed checks. */

#define _POSIX_C_SOURCE 200809L

#include "trm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PUZZLE "0000020440102103"
#define SOLUTION "3421123443122143"
#define AMBIGUOUS "1000000000000002" /* many solutions: the answer may be invalid */

static int failures;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            ++failures;                                                                            \
            printf("line %d: %s (last error: %s)\n", __LINE__, #condition, trm_error());           \
        }                                                                                          \
    } while (0)
#define FAILS(call, expected, word)                                                                \
    do {                                                                                           \
        trm_status status_ = (call);                                                               \
        if (status_ != (expected) || !strstr(trm_error(), word)) {                                 \
            ++failures;                                                                            \
            printf("line %d: %s is %d: %s\n", __LINE__, #call, (int)status_, trm_error());         \
        }                                                                                          \
    } while (0)

static void *file;
static size_t file_length;

static void read_file(const char *path) {
    FILE *in = fopen(path, "rb");
    if (!in || fseek(in, 0, SEEK_END) != 0)
        exit(99);
    file_length = (size_t)ftell(in);
    rewind(in);
    file = malloc(file_length);
    if (!file || fread(file, 1, file_length, in) != file_length)
        exit(99);
    fclose(in);
}

static trm_solver open_with(const trm_options *options) {
    trm_solver solver = 0;
    CHECK(trm_solver_from_bytes(file, file_length, NULL, NULL, options, &solver) == TRM_STATUS_OK);
    return solver;
}

static trm_status solve(trm_solver solver, const char *puzzle, trm_cancel cancel,
                        trm_on_step on_step, void *context, trm_answer *answer) {
    return trm_solver_solve(solver, puzzle, strlen(puzzle), cancel, on_step, context, answer);
}

/* What a step callback does, and what it recorded. */
typedef struct callback_state {
    trm_solver solver;
    trm_cancel cancel;
    unsigned stop_after; /* 0 = never */
    unsigned calls, last_calls;
    char first[64], last[64];
} callback_state;

static bool record_step(void *context, const trm_step *step) {
    callback_state *s = context;
    ++s->calls;
    s->last_calls += step->last;
    CHECK(step->step == s->calls && step->token_count == 16 && strlen(step->answer) == 16);
    CHECK(step->halt_probability >= 0 && step->halt_probability <= 1);
    for (size_t i = 0; i < step->changed_count; ++i)
        CHECK(step->changed[i] < 16);
    for (size_t i = 0; i < step->token_count; ++i)
        CHECK(step->tokens[i] < 8);
    strcpy(s->calls == 1 ? s->first : s->last, step->answer);
    return s->calls != s->stop_after;
}

static void test_solving(trm_solver solver) {
    callback_state s = {0};
    trm_answer answer = 7;
    CHECK(solve(solver, PUZZLE, 0, record_step, &s, &answer) == TRM_STATUS_OK);
    CHECK(s.calls >= 1 && s.last_calls == 1);
    const trm_answer_record *r = trm_answer_read(answer);
    CHECK(r && strcmp(r->answer, SOLUTION) == 0 && r->valid == TRM_TRUTH_YES &&
          r->steps == s.calls);
    CHECK(r->halted && r->halt_probability > 0.5f && r->q_halt > 0 && r->milliseconds > 0 &&
          r->token_count == 16);
    CHECK(r->why == NULL && strcmp(r->task, "sudoku") == 0 && strcmp(r->device, "cpu") == 0);
    CHECK(r->correct == TRM_TRUTH_UNKNOWN && r->shortest == TRM_TRUTH_UNKNOWN);
    for (size_t i = 0; i < r->token_count; ++i)
        CHECK(r->tokens[i] == (uint32_t)(SOLUTION[i] - '0') + 1);
    CHECK(trm_answer_free(answer) == TRM_STATUS_OK);

    /* A JSON puzzle has a JSON answer, which is compared with the solution. */
    const char *json =
        "{\"puzzle\": [[0,0,0,0],[0,2,0,4],[4,0,1,0],[2,1,0,3]], \"solution\": \"" SOLUTION "\"}";
    CHECK(solve(solver, json, 0, NULL, NULL, &answer) == TRM_STATUS_OK);
    r = trm_answer_read(answer);
    CHECK(r && strcmp(r->answer, "[[3,4,2,1],[1,2,3,4],[4,3,1,2],[2,1,4,3]]") == 0 &&
          r->correct == TRM_TRUTH_YES);
    CHECK(trm_answer_free(answer) == TRM_STATUS_OK);
}

static bool reenter(void *context, const trm_step *step) {
    callback_state *s = context;
    trm_answer answer = 7;
    trm_solver other = 7;
    const char *device;
    (void)step;
    ++s->calls;
    FAILS(solve(s->solver, PUZZLE, 0, NULL, NULL, &answer), TRM_STATUS_REENTRY,
          "inside a callback");
    FAILS(trm_solver_open("nowhere", NULL, &other), TRM_STATUS_REENTRY, "inside a callback");
    FAILS(trm_solver_device(s->solver, &device), TRM_STATUS_REENTRY, "inside a callback");
    FAILS(trm_solver_free(s->solver), TRM_STATUS_REENTRY, "inside a callback");
    FAILS(trm_answer_free(1), TRM_STATUS_REENTRY, "inside a callback");
    CHECK(trm_answer_read(1) == NULL);
    FAILS(trm_cancel_new(&other), TRM_STATUS_REENTRY, "inside a callback");
    CHECK(trm_abi_version() == TRM_ABI_VERSION && strlen(trm_version()) > 0);
    CHECK(trm_cancel_now(s->cancel) == TRM_STATUS_OK);
    return true;
}

static void test_stopping(void) {
    trm_options options = {.size = sizeof options};
    options.halt = "never";
    options.device = "cpu";
    options.threads = 1;
    options.max_steps = 4;
    trm_solver solver = open_with(&options);
    trm_answer answer = 7;

    callback_state s = {0};
    s.stop_after = 2;
    FAILS(solve(solver, PUZZLE, 0, record_step, &s, &answer), TRM_STATUS_CANCELLED,
          "stopped by the step callback");
    CHECK(s.calls == 2 && s.last_calls == 0 && answer == 0);

    /* A callback may cancel and ask for versions and errors, and nothing else. */
    callback_state again = {0};
    again.solver = solver;
    CHECK(trm_cancel_new(&again.cancel) == TRM_STATUS_OK);
    FAILS(solve(solver, PUZZLE, again.cancel, reenter, &again, &answer), TRM_STATUS_CANCELLED,
          "cancelled");
    CHECK(again.calls == 1);
    /* A cancelled token also stops later calls. */
    FAILS(solve(solver, PUZZLE, again.cancel, NULL, NULL, &answer), TRM_STATUS_CANCELLED,
          "cancelled");
    CHECK(trm_cancel_free(again.cancel) == TRM_STATUS_OK);
    FAILS(trm_cancel_free(again.cancel), TRM_STATUS_HANDLE, "freed");
    FAILS(trm_cancel_now(again.cancel), TRM_STATUS_HANDLE, "freed");
    FAILS(solve(solver, PUZZLE, again.cancel, NULL, NULL, &answer), TRM_STATUS_HANDLE, "freed");

    /* All steps run: the return value of the last callback is ignored. */
    callback_state all = {0};
    all.stop_after = 4;
    CHECK(solve(solver, PUZZLE, 0, record_step, &all, &answer) == TRM_STATUS_OK);
    CHECK(all.calls == 4 && !trm_answer_read(answer)->halted &&
          trm_answer_free(answer) == TRM_STATUS_OK);
    CHECK(trm_solver_free(solver) == TRM_STATUS_OK);

    options.max_steps = 2000000000;
    options.time_limit_ms = 20;
    solver = open_with(&options);
    FAILS(solve(solver, PUZZLE, 0, NULL, NULL, &answer), TRM_STATUS_DEADLINE, "deadline");
    CHECK(trm_solver_free(solver) == TRM_STATUS_OK);
}

static int released;

static void release(void *context) {
    trm_solver none;
    ++*(int *)context;
    FAILS(trm_solver_open("nowhere", NULL, &none), TRM_STATUS_REENTRY, "inside a callback");
}

static void test_borrowed_bytes(void) {
    trm_solver solver;
    /* A heap copy, so that valgrind finds a byte that is read after its release. */
    void *bytes = malloc(file_length);
    if (!bytes)
        exit(99);
    memcpy(bytes, file, file_length);
    CHECK(trm_solver_from_bytes(bytes, file_length, release, &released, NULL, &solver) ==
          TRM_STATUS_OK);
    CHECK(released == 0);
    test_solving(solver);
    CHECK(released == 0 && trm_solver_free(solver) == TRM_STATUS_OK && released == 1);
    free(bytes);

    released = 0;
    FAILS(trm_solver_from_bytes("PK", 2, release, &released, NULL, &solver), TRM_STATUS_CHECKPOINT,
          "");
    CHECK(released == 1 && solver == 0);
    FAILS(trm_solver_from_bytes(NULL, 2, release, &released, NULL, &solver), TRM_STATUS_ARGUMENT,
          "bytes is NULL");
    CHECK(released == 2);
    FAILS(trm_solver_from_bytes(file, file_length, release, &released, NULL, NULL),
          TRM_STATUS_ARGUMENT, "solver is NULL");
    CHECK(released == 3);
    FAILS(trm_solver_from_bytes(file, SIZE_MAX, release, &released, NULL, &solver),
          TRM_STATUS_ARGUMENT, "length");
    CHECK(released == 4);
    for (size_t cut = 0; cut < 200; cut += 7) {
        CHECK(trm_solver_from_bytes(file, cut, NULL, NULL, NULL, &solver) != TRM_STATUS_OK &&
              solver == 0);
        CHECK(trm_solver_from_bytes(file, file_length - 1 - cut, NULL, NULL, NULL, &solver) ==
              TRM_STATUS_CHECKPOINT);
    }
}

static void test_bad_arguments(trm_solver solver) {
    trm_solver none = 7;
    trm_answer answer = 7;
    const char *device;

    FAILS(trm_solver_open(NULL, NULL, &none), TRM_STATUS_ARGUMENT, "path is NULL");
    FAILS(trm_solver_open("nowhere", NULL, NULL), TRM_STATUS_ARGUMENT, "solver is NULL");
    FAILS(trm_solver_open("no\xffwhere", NULL, &none), TRM_STATUS_ARGUMENT, "UTF-8");
    FAILS(trm_solver_open("nowhere", NULL, &none), TRM_STATUS_IO, "nowhere");
    CHECK(none == 0);

    FAILS(trm_solver_solve(solver, NULL, 16, 0, NULL, NULL, &answer), TRM_STATUS_ARGUMENT,
          "puzzle is NULL");
    FAILS(trm_solver_solve(solver, PUZZLE, SIZE_MAX, 0, NULL, NULL, &answer), TRM_STATUS_ARGUMENT,
          "length");
    FAILS(solve(solver, PUZZLE, 0, NULL, NULL, NULL), TRM_STATUS_ARGUMENT, "answer is NULL");
    FAILS(trm_solver_solve(solver, PUZZLE, 0, 0, NULL, NULL, &answer), TRM_STATUS_PUZZLE, "empty");
    FAILS(trm_solver_solve(solver, PUZZLE, 15, 0, NULL, NULL, &answer), TRM_STATUS_PUZZLE, "15");
    FAILS(solve(solver, "\xff\xfe", 0, NULL, NULL, &answer), TRM_STATUS_PUZZLE, "UTF-8");
    FAILS(solve(solver, "{\"puzzle\": 3}", 0, NULL, NULL, &answer), TRM_STATUS_PUZZLE, "puzzle");
    FAILS(solve(solver, "1100000000000000", 0, NULL, NULL, &answer), TRM_STATUS_PUZZLE, "1");
    FAILS(solve(solver,
                "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
                "0",
                0, NULL, NULL, &answer),
          TRM_STATUS_PUZZLE, "9 x 9");
    CHECK(answer == 0);

    FAILS(trm_solver_device(solver, NULL), TRM_STATUS_ARGUMENT, "device is NULL");
    FAILS(trm_solver_device(0, &device), TRM_STATUS_HANDLE, "null handle, not a solver");
    CHECK(device == NULL);
    CHECK(trm_solver_device(solver, &device) == TRM_STATUS_OK && strstr(device, "cpu"));
    FAILS(trm_cancel_new(NULL), TRM_STATUS_ARGUMENT, "cancel is NULL");
    CHECK(trm_answer_read(0) == NULL && strstr(trm_error(), "null handle, not an answer"));
    FAILS(trm_answer_free(0), TRM_STATUS_HANDLE, "null handle, not an answer");
    FAILS(trm_solver_free(0), TRM_STATUS_HANDLE, "null handle, not a solver");
    FAILS(trm_cancel_now(0), TRM_STATUS_HANDLE, "null handle, not a cancel token");
    FAILS(trm_cancel_free(UINT64_MAX), TRM_STATUS_HANDLE, "never created");
    /* A handle of one type is not valid as another type. */
    FAILS(trm_answer_free(solver), TRM_STATUS_HANDLE, "is not an answer, or it was freed");
    FAILS(solve(solver, PUZZLE, solver, NULL, NULL, &answer), TRM_STATUS_HANDLE,
          "is not a cancel token");
}

static void test_options(void) {
    static const struct {
        const char *device, *task, *dtype, *halt;
        float threshold;
        unsigned min_steps, max_steps;
        trm_status status;
        const char *word;
    } cases[] = {
        {"cpu", "sudoku", "int8", "head", 0.9f, 2, 5, TRM_STATUS_OK, NULL},
        {"reference", NULL, "f16", "verified", 0, 0, 0, TRM_STATUS_OK, NULL},
        {"abacus", NULL, NULL, NULL, 0, 0, 0, TRM_STATUS_ARGUMENT, "no device"},
        {NULL, "chess", NULL, NULL, 0, 0, 0, TRM_STATUS_ARGUMENT, "chess"},
        {NULL, NULL, "f99", NULL, 0, 0, 0, TRM_STATUS_ARGUMENT, "f99"},
        {NULL, NULL, NULL, "sometimes", 0, 0, 0, TRM_STATUS_ARGUMENT, "sometimes"},
        {NULL, NULL, NULL, NULL, 1.5f, 0, 0, TRM_STATUS_ARGUMENT, "threshold"},
        {NULL, NULL, NULL, NULL, 0, 3, 2, TRM_STATUS_ARGUMENT, "min steps 3"},
        {"c\xff", NULL, NULL, NULL, 0, 0, 0, TRM_STATUS_ARGUMENT, "options.device is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        trm_options o = {.size = sizeof o};
        o.device = cases[i].device;
        o.task = cases[i].task;
        o.dtype = cases[i].dtype;
        o.halt = cases[i].halt;
        o.halt_threshold = cases[i].threshold;
        o.min_steps = cases[i].min_steps;
        o.max_steps = cases[i].max_steps;
        trm_solver solver = 7;
        trm_status status = trm_solver_from_bytes(file, file_length, NULL, NULL, &o, &solver);
        CHECK(status == cases[i].status && (status == TRM_STATUS_OK || solver == 0));
        if (status != TRM_STATUS_OK) {
            CHECK(strstr(trm_error(), cases[i].word));
            continue;
        }
        trm_answer answer;
        CHECK(solve(solver, PUZZLE, 0, NULL, NULL, &answer) == TRM_STATUS_OK);
        CHECK(strcmp(trm_answer_read(answer)->device, cases[i].device) == 0);
        CHECK(trm_answer_read(answer)->steps >= cases[i].min_steps);
        CHECK(trm_answer_free(answer) == TRM_STATUS_OK && trm_solver_free(solver) == TRM_STATUS_OK);
    }
    trm_options older = {.size = sizeof older - 1};
    trm_solver solver;
    FAILS(trm_solver_from_bytes(file, file_length, NULL, NULL, &older, &solver),
          TRM_STATUS_ARGUMENT, "options.size");
}

static void test_after_free(void) {
    trm_solver solver = open_with(NULL);
    trm_answer answer, other = 7;
    const char *device = PUZZLE;
    CHECK(solve(solver, PUZZLE, 0, NULL, NULL, &answer) == TRM_STATUS_OK);
    CHECK(trm_solver_free(solver) == TRM_STATUS_OK);
    /* An answer outlives its solver. */
    CHECK(strcmp(trm_answer_read(answer)->answer, SOLUTION) == 0);
    FAILS(trm_solver_free(solver), TRM_STATUS_HANDLE, "freed");
    FAILS(trm_solver_device(solver, &device), TRM_STATUS_HANDLE, "freed");
    FAILS(solve(solver, PUZZLE, 0, NULL, NULL, &other), TRM_STATUS_HANDLE, "freed");
    CHECK(other == 0 && device == NULL);
    CHECK(trm_answer_free(answer) == TRM_STATUS_OK && trm_answer_read(answer) == NULL);
    FAILS(trm_answer_free(answer), TRM_STATUS_HANDLE, "freed");
}

/* A thread that solves until another thread stops it. */
typedef struct endless {
    trm_solver solver;
    trm_cancel cancel;
    trm_status status;
    unsigned steps;
    pthread_mutex_t lock;
} endless;

static bool record_step_number(void *context, const trm_step *step) {
    endless *e = context;
    pthread_mutex_lock(&e->lock);
    e->steps = step->step;
    pthread_mutex_unlock(&e->lock);
    return true;
}

static void *solve_endlessly(void *context) {
    endless *e = context;
    trm_answer answer;
    CHECK(strcmp(trm_error(), "") == 0); /* every thread has its own message */
    e->status = solve(e->solver, PUZZLE, e->cancel, record_step_number, e, &answer);
    CHECK(strstr(trm_error(), "cancelled"));
    return NULL;
}

static unsigned steps_of(endless *e) {
    pthread_mutex_lock(&e->lock);
    unsigned steps = e->steps;
    pthread_mutex_unlock(&e->lock);
    return steps;
}

static void test_two_threads(void) {
    trm_options options = {.size = sizeof options};
    options.halt = "never";
    options.max_steps = 2000000000;
    options.threads = 2;
    trm_solver solver = open_with(&options);
    endless one = {0}, two = {0};
    pthread_t threads[2];
    pthread_mutex_init(&one.lock, NULL);
    pthread_mutex_init(&two.lock, NULL);
    one.solver = two.solver = solver;
    CHECK(trm_cancel_new(&one.cancel) == TRM_STATUS_OK);
    pthread_create(&threads[0], NULL, solve_endlessly, &one);
    pthread_create(&threads[1], NULL, solve_endlessly, &two);
    /* The threads take turns. */
    const struct timespec moment = {0, 1000000};
    for (int i = 0; i < 60000 && (steps_of(&one) < 3 || steps_of(&two) < 3); ++i)
        nanosleep(&moment, NULL);
    CHECK(steps_of(&one) >= 3 && steps_of(&two) >= 3);
    /* The token stops the first, freeing the solver stops the second. */
    CHECK(trm_cancel_now(one.cancel) == TRM_STATUS_OK);
    pthread_join(threads[0], NULL);
    unsigned before = steps_of(&two);
    for (int i = 0; i < 60000 && steps_of(&two) < before + 3; ++i)
        nanosleep(&moment, NULL);
    CHECK(steps_of(&two) >= before + 3);
    CHECK(trm_solver_free(solver) == TRM_STATUS_OK);
    pthread_join(threads[1], NULL);
    CHECK(one.status == TRM_STATUS_CANCELLED && two.status == TRM_STATUS_CANCELLED);
    CHECK(trm_cancel_free(one.cancel) == TRM_STATUS_OK);
    pthread_mutex_destroy(&one.lock);
    pthread_mutex_destroy(&two.lock);
}

static void test_invalid_answer(trm_solver solver) {
    trm_answer answer;
    CHECK(solve(solver, AMBIGUOUS, 0, NULL, NULL, &answer) == TRM_STATUS_OK);
    const trm_answer_record *r = trm_answer_read(answer);
    CHECK(r && r->token_count == 16 && (r->valid == TRM_TRUTH_YES) == (r->why == NULL));
    CHECK(trm_answer_free(answer) == TRM_STATUS_OK);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 99;
    CHECK(trm_abi_version() == TRM_ABI_VERSION && strcmp(trm_error(), "") == 0);
    read_file(argv[1]);
    trm_solver solver = 0;
    CHECK(trm_solver_open(argv[1], NULL, &solver) == TRM_STATUS_OK);
    test_solving(solver);
    test_invalid_answer(solver);
    test_bad_arguments(solver);
    CHECK(trm_solver_free(solver) == TRM_STATUS_OK);
    test_stopping();
    test_borrowed_bytes();
    test_options();
    test_after_free();
    test_two_threads();
    free(file);
    printf("%d checks failed\n", failures);
    return failures;
}
