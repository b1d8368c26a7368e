/* Generates puzzles as model tokens. data.py compiles this file and calls the functions that are
 * not static.
 *
 * Token 0 is padding. Sudoku: 1 is a blank, digit d is d + 1. Maze: 1 wall, 2 free, 3 start, 4
 * goal, 5 path. */
#include <stdint.h>
#include <string.h>

enum { MAX_SIDE = 16, MAX_SUDOKU_CELLS = 256, MAX_MAZE_CELLS = 2500 };
enum { WALL = 1, FREE, START, GOAL, PATH };

/* Returns a random number from 0 to n - 1 (xorshift64*). */
static uint32_t below(uint64_t *random, uint32_t n) {
    *random ^= *random >> 12; *random ^= *random << 25; *random ^= *random >> 27;
    return (uint32_t)(((*random * 0x2545F4914F6CDD1Dull >> 32) * n) >> 32);
}

static void shuffle(uint64_t *random, int *items, int n) {
    for (int i = n - 1; i > 0; i--) {
        int j = (int)below(random, (uint32_t)i + 1), swapped = items[i];
        items[i] = items[j]; items[j] = swapped;
    }
}

/* Returns the generator's first state. splitmix64 makes neighbouring seeds start far apart. */
static uint64_t seeded(uint64_t seed) {
    seed += 0x9E3779B97F4A7C15ull;
    seed = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9ull;
    seed = (seed ^ seed >> 27) * 0x94D049BB133111EBull;
    return (seed ^ seed >> 31) | 1;
}

/* ---- Sudoku ---- */

typedef struct {
    int side, cells;
    int box[MAX_SUDOKU_CELLS];                           /* the box of each cell */
    int grid[MAX_SUDOKU_CELLS];                          /* 0 or a digit */
    int rows[MAX_SIDE], cols[MAX_SIDE], boxes[MAX_SIDE]; /* bit d - 1: digit d is taken */
    int first[MAX_SUDOKU_CELLS];                         /* the first solution */
    int found, limit;                                    /* the search stops at `limit` solutions */
    uint64_t *random;                                    /* null: digits are tried in order */
} Sudoku;

static void toggle(Sudoku *s, int cell, int digit) {
    int bit = 1 << (digit - 1);
    s->grid[cell] ^= digit;
    s->rows[cell / s->side] ^= bit;
    s->cols[cell % s->side] ^= bit;
    s->boxes[s->box[cell]] ^= bit;
}

static void load(Sudoku *s, const int *cells) {
    memset(s->grid, 0, sizeof s->grid);
    memset(s->rows, 0, sizeof s->rows);
    memset(s->cols, 0, sizeof s->cols);
    memset(s->boxes, 0, sizeof s->boxes);
    for (int i = 0; i < s->cells; i++) if (cells[i]) toggle(s, i, cells[i]);
}

/* Tries the digits of the blank cell with the fewest candidates, until `limit` solutions are
 * found. */
static void search(Sudoku *s) {
    int best = -1, fewest = MAX_SIDE + 1, open = 0;
    for (int i = 0; i < s->cells && fewest > 1; i++) {
        if (s->grid[i]) continue;
        int taken = s->rows[i / s->side] | s->cols[i % s->side] | s->boxes[s->box[i]];
        int candidates = ~taken & ((1 << s->side) - 1);
        int count = __builtin_popcount((unsigned)candidates);
        if (count < fewest) { fewest = count; best = i; open = candidates; }
    }
    if (best < 0) {
        if (!s->found++) memcpy(s->first, s->grid, sizeof s->grid);
        return;
    }
    int digits[MAX_SIDE], n = 0;
    for (int d = 1; d <= s->side; d++) if (open >> (d - 1) & 1) digits[n++] = d;
    if (s->random) shuffle(s->random, digits, n);
    for (int i = 0; i < n && s->found < s->limit; i++) {
        toggle(s, best, digits[i]);
        search(s);
        toggle(s, best, digits[i]);
    }
}

static int solutions(Sudoku *s, const int *cells, int limit) {
    load(s, cells);
    s->found = 0; s->limit = limit;
    search(s);
    return s->found;
}

/* Writes `count` Sudokus with exactly one solution: puzzles and answers, [count, side * side]
 * each.
 *
 * Clues of a full grid are removed in random order. A clue stays if the puzzle needs it.
 * Removing ends at a number of clues drawn from low..high. With low = high = 0 it ends when the
 * puzzle needs every clue. */
void sudokus(int box_rows, int box_cols, long count, uint64_t seed, int low, int high,
             uint8_t *puzzles, uint8_t *answers) {
    Sudoku s = {.side = box_rows * box_cols, .cells = box_rows * box_cols * box_rows * box_cols};
    uint64_t random = seeded(seed);
    for (int i = 0; i < s.cells; i++)
        s.box[i] = i / s.side / box_rows * box_rows + i % s.side / box_cols;
    for (; count > 0; count--, puzzles += s.cells, answers += s.cells) {
        int clues[MAX_SUDOKU_CELLS] = {0}, order[MAX_SUDOKU_CELLS];
        for (int i = 0; i < s.side; i++) clues[i] = i + 1;
        /* A random first row shortens the search and excludes no grid. */
        shuffle(&random, clues, s.side);
        s.random = &random;
        solutions(&s, clues, 1);
        s.random = 0;
        memcpy(clues, s.first, sizeof clues);
        for (int i = 0; i < s.cells; i++) {
            answers[i] = (uint8_t)(clues[i] + 1);
            order[i] = i;
        }
        shuffle(&random, order, s.cells);
        int left = s.cells, least = low + (int)below(&random, (uint32_t)(high - low + 1));
        for (int i = 0; i < s.cells && left > least; i++) {
            int digit = clues[order[i]];
            clues[order[i]] = 0;
            if (solutions(&s, clues, 2) > 1) clues[order[i]] = digit; else left--;
        }
        for (int i = 0; i < s.cells; i++) puzzles[i] = (uint8_t)(clues[i] + 1);
    }
}

/* ---- Difficulty of a Sudoku ---- */

/* The units of a Sudoku: its rows, columns and boxes. */
typedef struct {
    int side, cells;
    uint8_t units[3 * MAX_SIDE][MAX_SIDE];         /* the cells of each unit */
    uint8_t peers[MAX_SUDOKU_CELLS][3 * MAX_SIDE]; /* the other cells in the units of each cell */
    int peer_count;
} Layout;

typedef struct {
    uint16_t left[MAX_SUDOKU_CELLS]; /* bit d - 1: digit d is possible */
} Candidates;

static Layout layout(int box_rows, int box_cols) {
    Layout l = {.side = box_rows * box_cols, .cells = box_rows * box_cols * box_rows * box_cols};
    int fill[3 * MAX_SIDE] = {0};
    for (int i = 0; i < l.cells; i++) {
        int row = i / l.side, col = i % l.side;
        int of[3] = {row, l.side + col, 2 * l.side + row / box_rows * box_rows + col / box_cols};
        for (int u = 0; u < 3; u++) l.units[of[u]][fill[of[u]]++] = (uint8_t)i;
    }
    for (int i = 0; i < l.cells; i++) {
        int n = 0;
        for (int u = 0; u < 3 * l.side; u++) {
            if (!memchr(l.units[u], i, (size_t)l.side)) continue;
            for (int k = 0; k < l.side; k++)
                if (l.units[u][k] != i && !memchr(l.peers[i], l.units[u][k], (size_t)n))
                    l.peers[i][n++] = l.units[u][k];
        }
        l.peer_count = n;
    }
    return l;
}

/* Sets a digit, given as a bit, and removes it from the peers of the cell. Does the same for
 * every peer that is left with one candidate. Returns 0 on a contradiction. */
static int assign(const Layout *l, Candidates *c, int cell, uint16_t digit) {
    uint8_t stack[MAX_SUDOKU_CELLS];
    int top = 0;
    if (!(c->left[cell] & digit)) return 0;
    c->left[cell] = digit;
    stack[top++] = (uint8_t)cell;
    while (top) {
        int at = stack[--top];
        uint16_t bit = c->left[at];
        for (int k = 0; k < l->peer_count; k++) {
            uint16_t *left = &c->left[l->peers[at][k]];
            if (!(*left & bit)) continue;
            *left &= (uint16_t)~bit;
            if (!*left) return 0;
            if (!(*left & (*left - 1))) stack[top++] = l->peers[at][k];
        }
    }
    return 1;
}

/* Sets every digit that has one cell left in a unit, until no such digit is left. Returns 0 on a
 * contradiction. */
static int hidden_singles(const Layout *l, Candidates *c) {
    uint16_t all = (uint16_t)((1u << l->side) - 1);
    for (int changed = 1; changed;) {
        changed = 0;
        for (int u = 0; u < 3 * l->side; u++) {
            uint16_t once = 0, twice = 0, single = 0;
            for (int k = 0; k < l->side; k++) {
                uint16_t left = c->left[l->units[u][k]];
                twice |= once & left; once |= left;
                if (!(left & (left - 1))) single |= left;
            }
            if (once != all) return 0;
            uint16_t hidden = once & (uint16_t)~twice & (uint16_t)~single;
            for (int k = 0; hidden && k < l->side; k++) {
                int cell = l->units[u][k];
                uint16_t bit = c->left[cell] & hidden;
                if (!bit) continue;
                if ((bit & (bit - 1)) || !assign(l, c, cell, bit)) return 0;
                hidden &= (uint16_t)~bit;
                changed = 1;
            }
        }
    }
    return 1;
}

typedef struct {
    const Layout *layout;
    int found, limit;                       /* solutions found; the search stops at `limit` */
    int guesses, max_guesses;               /* the search stops after `max_guesses` */
    uint16_t solution[2][MAX_SUDOKU_CELLS]; /* the first two solutions, as bits */
    uint64_t *random;                       /* null: digits are tried in order */
} Rating;

/* Sets naked and hidden singles, then guesses in the first cell with the fewest candidates. */
static void rate_search(Rating *r, Candidates *c) {
    const Layout *l = r->layout;
    if (!hidden_singles(l, c)) return;
    int best = -1, fewest = MAX_SIDE + 1;
    for (int i = 0; i < l->cells && fewest > 2; i++) {
        int count = __builtin_popcount(c->left[i]);
        if (count > 1 && count < fewest) { fewest = count; best = i; }
    }
    if (best < 0) {
        if (r->found < 2) memcpy(r->solution[r->found], c->left, sizeof c->left);
        r->found++;
        return;
    }
    r->guesses++;
    int digits[MAX_SIDE], n = 0;
    for (int d = 0; d < l->side; d++)
        if (c->left[best] >> d & 1) digits[n++] = d;
    if (r->random) shuffle(r->random, digits, n);
    for (int i = 0; i < n && r->found < r->limit && r->guesses <= r->max_guesses; i++) {
        Candidates next = *c;
        if (assign(l, &next, best, (uint16_t)(1u << digits[i]))) rate_search(r, &next);
    }
}

/* Solves `clues` (0 or a digit) and counts the guesses. Returns the number of solutions, at most
 * `limit`. */
static int rate(Rating *r, const uint8_t *clues, int limit) {
    Candidates c;
    for (int i = 0; i < r->layout->cells; i++) c.left[i] = (uint16_t)((1u << r->layout->side) - 1);
    r->found = r->guesses = 0; r->limit = limit;
    for (int i = 0; i < r->layout->cells; i++)
        if (clues[i] && !assign(r->layout, &c, i, (uint16_t)(1u << (clues[i] - 1)))) return 0;
    rate_search(r, &c);
    return r->found;
}

/* Writes for each puzzle how often a backtracking solver guesses until it has found the solution
 * and has proved that there is no other. The solver sets naked and hidden singles, then guesses
 * in the first cell with the fewest candidates. The number is 0 for a puzzle that singles solve,
 * and -1 for a puzzle without exactly one solution. */
void sudoku_guesses(int box_rows, int box_cols, long count, const uint8_t *puzzles,
                    int32_t *guesses) {
    Layout l = layout(box_rows, box_cols);
    Rating r = {.layout = &l, .max_guesses = INT32_MAX};
    for (long p = 0; p < count; p++, puzzles += l.cells) {
        uint8_t clues[MAX_SUDOKU_CELLS];
        for (int i = 0; i < l.cells; i++) clues[i] = (uint8_t)(puzzles[i] - 1);
        guesses[p] = rate(&r, clues, 2) == 1 ? r.guesses : -1;
    }
}

/* Removes clues in random order until the puzzle needs every clue. Returns its guesses. */
static int minimize(Rating *r, uint8_t *clues, uint64_t *random) {
    int order[MAX_SUDOKU_CELLS], n = 0;
    for (int i = 0; i < r->layout->cells; i++) if (clues[i]) order[n++] = i;
    shuffle(random, order, n);
    int guesses = -1;
    for (int i = 0; i < n; i++) {
        uint8_t digit = clues[order[i]];
        clues[order[i]] = 0;
        if (rate(r, clues, 2) == 1) guesses = r->guesses; else clues[order[i]] = digit;
    }
    if (guesses < 0) {
        rate(r, clues, 2);
        guesses = r->guesses;
    }
    return guesses;
}

/* Removes one or two clues and adds others until the solution is unique. Returns 0 if that takes
 * too many. */
static int mutate(Rating *r, uint8_t *clues, uint64_t *random) {
    int order[MAX_SUDOKU_CELLS], n = 0;
    for (int i = 0; i < r->layout->cells; i++) if (clues[i]) order[n++] = i;
    shuffle(random, order, n);
    int removed = below(random, 3) ? 1 : 2;
    for (int i = 0; i < removed; i++) clues[order[i]] = 0;
    for (int added = 0;; added++) {
        r->random = random;
        int found = rate(r, clues, 2);
        r->random = 0;
        if (found == 1) return 1;
        if (found == 0 || added > removed + 1 || r->guesses > r->max_guesses) return 0;
        /* The new clue keeps one of the two solutions and excludes the other. */
        int differ[MAX_SUDOKU_CELLS], k = 0, keep = (int)below(random, 2);
        for (int i = 0; i < r->layout->cells; i++)
            if (r->solution[0][i] != r->solution[1][i]) differ[k++] = i;
        int cell = differ[below(random, (uint32_t)k)];
        clues[cell] = (uint8_t)(__builtin_ctz(r->solution[keep][cell]) + 1);
    }
}

/* Puzzles of a chain that starts from a generated or a given puzzle; mutations that are tried in
 * a chain. */
enum { GENERATED_CHAIN = 128, GIVEN_CHAIN = 16, MAX_MUTATIONS = 3000, MAX_GUESSES = 5000 };

/* Writes `count` hard Sudokus: puzzles and answers, [count, side * side] each. They need at least
 * `least` guesses, and at least half of the guesses of the given puzzle that they are made from.
 *
 * Puzzles come in chains. A chain starts from one of `starts`, or from a minimal puzzle if
 * `start_count` is 0. Until the puzzle is hard enough, a mutation is kept if it needs no fewer
 * guesses than before. From then on every mutation that is hard enough is the next puzzle of the
 * chain. */
void hard_sudokus(int box_rows, int box_cols, long count, uint64_t seed, int least,
                  long start_count, const uint8_t *starts, uint8_t *puzzles, uint8_t *answers) {
    Layout l = layout(box_rows, box_cols);
    uint64_t random = seeded(seed);
    while (count > 0) {
        uint8_t clues[MAX_SUDOKU_CELLS], unused[MAX_SUDOKU_CELLS];
        if (start_count) {
            long chosen = (long)below(&random, (uint32_t)start_count);
            memcpy(clues, starts + chosen * l.cells, (size_t)l.cells);
        } else {
            sudokus(box_rows, box_cols, 1, random, 0, 0, clues, unused);
        }
        below(&random, 2); /* the seed of the next chain */
        for (int i = 0; i < l.cells; i++) clues[i]--;
        Rating r = {.layout = &l, .max_guesses = MAX_GUESSES};
        rate(&r, clues, 2);
        int guesses = r.guesses, written = 0, chain = start_count ? GIVEN_CHAIN : GENERATED_CHAIN;
        int enough = least;
        if (start_count && guesses / 2 > least) enough = guesses / 2;
        for (int tries = 0; tries < MAX_MUTATIONS && written < chain && count > 0; tries++) {
            uint8_t next[MAX_SUDOKU_CELLS];
            memcpy(next, clues, sizeof next);
            int wanted = guesses < enough ? guesses : enough;
            if (!mutate(&r, next, &random)) continue;
            if (!memcmp(clues, next, sizeof next)) continue;
            rate(&r, next, 2);
            int now = r.guesses;
            /* Removing needless clues makes a puzzle harder, but to do it every time would take
             * most of the time. */
            if (2 * now >= wanted && (now < wanted || below(&random, 4) == 0))
                now = minimize(&r, next, &random);
            if (now < wanted || now > r.max_guesses) continue;
            memcpy(clues, next, sizeof next);
            guesses = now;
            if (guesses < enough) continue;
            rate(&r, clues, 1);
            for (int i = 0; i < l.cells; i++) {
                puzzles[i] = (uint8_t)(clues[i] + 1);
                answers[i] = (uint8_t)(__builtin_ctz(r.solution[0][i]) + 2);
            }
            puzzles += l.cells; answers += l.cells; count--; written++;
        }
    }
}

/* ---- Mazes ---- */

/* Returns the cell below, left, right or above, or -1 outside the grid. */
static int neighbour(int side, int cell, int direction) {
    int row = cell / side, col = cell % side;
    switch (direction) {
    case 0: return row + 1 < side ? cell + side : -1;
    case 1: return col > 0 ? cell - 1 : -1;
    case 2: return col + 1 < side ? cell + 1 : -1;
    default: return row > 0 ? cell - side : -1;
    }
}

/* Writes the distance from `from` to each cell, or -1 if there is no path. Writes the cells that
 * can be reached to `queue`, the nearest first, and returns their number. */
static int measure(int side, const uint8_t *maze, int from, int *distance, int *queue) {
    int reached = 1;
    for (int i = 0; i < side * side; i++) distance[i] = -1;
    distance[from] = 0; queue[0] = from;
    for (int i = 0; i < reached; i++)
        for (int d = 0; d < 4; d++) {
            int next = neighbour(side, queue[i], d);
            if (next < 0 || maze[next] == WALL || distance[next] >= 0) continue;
            distance[next] = distance[queue[i]] + 1;
            queue[reached++] = next;
        }
    return reached;
}

/* Writes the maze with a shortest path. Among equal paths, every step from the start takes the
 * first possible of down, left, right, up. */
static void draw(int side, const uint8_t *maze, int start, int goal, const int *distance,
                 uint8_t *answer) {
    memcpy(answer, maze, (size_t)(side * side));
    for (int cell = start; cell != goal;) {
        for (int d = 0; d < 4; d++) {
            int next = neighbour(side, cell, d);
            if (next >= 0 && distance[next] >= 0 && distance[next] == distance[cell] - 1) {
                cell = next;
                break;
            }
        }
        if (cell != goal) answer[cell] = PATH;
    }
}

/* Writes the answer to a maze. Returns 0 if its goal cannot be reached. */
int solve_maze(int side, const uint8_t *maze, uint8_t *answer) {
    int distance[MAX_MAZE_CELLS], queue[MAX_MAZE_CELLS], start = 0, goal = 0;
    for (int i = 0; i < side * side; i++) {
        if (maze[i] == START) start = i;
        if (maze[i] == GOAL) goal = i;
    }
    measure(side, maze, goal, distance, queue);
    if (distance[start] < 0) return 0;
    draw(side, maze, start, goal, distance, answer);
    return 1;
}

/* Writes `count` mazes and answers, [count, side * side] each.
 *
 * A maze has `smallest` to `largest` rows. It lies anywhere in the grid, and the rest of the
 * grid is walls. Between 30 and 45 % of its cells are walls. Start and goal are at least `least`
 * steps apart in a maze of `largest` rows, and proportionally fewer in a smaller one. */
void mazes(int side, long count, uint64_t seed, int least, int smallest, int largest,
           uint8_t *puzzles, uint8_t *answers) {
    uint64_t random = seeded(seed);
    int distance[MAX_MAZE_CELLS], queue[MAX_MAZE_CELLS], cells = side * side;
    while (count > 0) {
        uint32_t walls_per_mille = 300 + below(&random, 150);
        uint32_t sizes = (uint32_t)(largest - smallest) + 1;
        int rows = sizes > 1 ? smallest + (int)below(&random, sizes) : largest;
        int margin = side - rows, corner = 0;
        if (margin) {
            int top = (int)below(&random, (uint32_t)margin + 1);
            corner = top * side + (int)below(&random, (uint32_t)margin + 1);
        }
        memset(puzzles, WALL, (size_t)cells);
        for (int i = 0; i < rows * rows; i++)
            puzzles[corner + i / rows * side + i % rows] =
                below(&random, 1000) < walls_per_mille ? WALL : FREE;
        int goal_row = (int)below(&random, (uint32_t)rows);
        int goal = corner + goal_row * side + (int)below(&random, (uint32_t)rows);
        if (puzzles[goal] == WALL) continue;
        int reached = measure(side, puzzles, goal, distance, queue), far_cells = 0;
        while (far_cells < reached - 1 &&
               distance[queue[reached - 1 - far_cells]] * largest >= least * rows)
            far_cells++;
        if (!far_cells) continue;
        int start = queue[reached - 1 - (int)below(&random, (uint32_t)far_cells)];
        puzzles[start] = START; puzzles[goal] = GOAL;
        draw(side, puzzles, start, goal, distance, answers);
        puzzles += cells; answers += cells; count--;
    }
}
