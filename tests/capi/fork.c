/* Forks while a thread solves, and in a quiet moment. tests/capi.rs runs it.
   usage: fork MODEL_FILE
   The exit code is the number of children that did not end as they should. */

#define _POSIX_C_SOURCE 200809L

#include "trm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PUZZLE "0000020440102103"

static const char *model;
static trm_solver solver;
static volatile bool done;

static trm_status solve(trm_solver with, trm_answer *answer) {
    return trm_solver_solve(with, PUZZLE, strlen(PUZZLE), 0, NULL, NULL, answer);
}

static void *solve_again_and_again(void *context) {
    (void)context;
    while (!done) {
        trm_answer answer = 0;
        if (solve(solver, &answer) != TRM_STATUS_OK)
            abort();
        trm_answer_free(answer);
    }
    return NULL;
}

/* Returns 0 if the library behaves in a child as trm.h says. */
static int child(void) {
    trm_answer answer = 7;
    const char *device = NULL;
    alarm(20); /* a hang ends with a signal */
    if (solve(solver, &answer) != TRM_STATUS_DEVICE || answer != 0)
        return 1;
    if (!strstr(trm_error(), "forked"))
        return 2;
    if (trm_solver_device(solver, &device) != TRM_STATUS_DEVICE)
        return 3;
    if (trm_solver_free(solver) != TRM_STATUS_OK)
        return 4;
    if (trm_solver_free(solver) != TRM_STATUS_HANDLE)
        return 5;
    /* A solver of its own works. */
    trm_options options = {.size = sizeof options, .device = "cpu", .threads = 2};
    trm_solver own = 0;
    if (trm_solver_open(model, &options, &own) != TRM_STATUS_OK)
        return 6;
    if (solve(own, &answer) != TRM_STATUS_OK || !trm_answer_read(answer)->halted)
        return 7;
    if (trm_answer_free(answer) != TRM_STATUS_OK || trm_solver_free(own) != TRM_STATUS_OK)
        return 8;
    return 0;
}

static int fork_once(void) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(child());
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        printf("a child ended with status %#x\n", (unsigned)status);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    trm_options options = {.size = sizeof options, .device = "cpu", .threads = 2};
    pthread_t thread;
    int failures = 0;
    if (argc != 2)
        return 99;
    model = argv[1];
    if (trm_solver_open(model, &options, &solver) != TRM_STATUS_OK)
        return 98;
    if (pthread_create(&thread, NULL, solve_again_and_again, NULL) != 0)
        return 97;
    for (int i = 0; i < 5; ++i)
        failures += fork_once();
    done = true;
    pthread_join(thread, NULL);
    failures += fork_once();
    /* The parent is not affected. */
    trm_answer answer = 0;
    failures += solve(solver, &answer) != TRM_STATUS_OK;
    failures += trm_solver_free(solver) != TRM_STATUS_OK;
    return failures;
}
