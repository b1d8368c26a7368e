/* Planted bug: reads an answer after freeing it. tests/capi.rs checks that valgrind reports it.
   usage: after_free MODEL_FILE */

#include "trm.h"

#include <stdio.h>

int main(int argc, char **argv) {
    trm_solver solver;
    trm_answer answer;
    if (argc != 2 || trm_solver_open(argv[1], NULL, &solver) != TRM_STATUS_OK)
        return 1;
    if (trm_solver_solve(solver, "0000020440102103", 16, 0, NULL, NULL, &answer) != TRM_STATUS_OK)
        return 2;
    const trm_answer_record *record = trm_answer_read(answer);
    trm_answer_free(answer);
    printf("%u\n", (unsigned)record->steps);
    trm_solver_free(solver);
    return 0;
}
