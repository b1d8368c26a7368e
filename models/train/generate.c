/* Puzzles as tokens of the models, for data.py, which compiles this file and calls `sudokus`, `mazes` and `solve_maze`.
 *
 * Token 0 is padding. Sudoku: 1 blank, digit d is d + 1. Maze: 1 wall, 2 free, 3 start, 4 goal, 5 path. */
#include <stdint.h>
#include <string.h>

enum { MOST_SIDE = 16, MOST_CELLS = 2500 };
enum { WALL = 1, FREE, START, GOAL, PATH };

/* xorshift64*, from 0 to n - 1. */
static uint32_t below(uint64_t *random, uint32_t n) {
    *random ^= *random >> 12; *random ^= *random << 25; *random ^= *random >> 27;
    return (uint32_t)(((*random * 0x2545F4914F6CDD1Dull >> 32) * n) >> 32);
}

static void shuffle(uint64_t *random, int *items, int n) {
    for (int i = n - 1; i > 0; i--) {
        int j = (int)below(random, (uint32_t)i + 1), kept = items[i];
        items[i] = items[j]; items[j] = kept;
    }
}

static uint64_t seeded(uint64_t seed) {
    seed += 0x9E3779B97F4A7C15ull; /* splitmix64: neighbouring seeds start far apart */
    seed = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9ull;
    seed = (seed ^ seed >> 27) * 0x94D049BB133111EBull;
    return (seed ^ seed >> 31) | 1;
}

/* ---- Sudoku ---- */

typedef struct {
    int side, cells, box[MOST_SIDE * MOST_SIDE];
    int grid[MOST_SIDE * MOST_SIDE];                           /* 0 or a digit */
    int rows[MOST_SIDE], cols[MOST_SIDE], boxes[MOST_SIDE];    /* bit d - 1: digit d is taken */
    int first[MOST_SIDE * MOST_SIDE], found, limit;            /* the first solution; how many; how many are enough */
    uint64_t *random;                                          /* null: digits in order */
} Sudoku;

static void toggle(Sudoku *s, int cell, int digit) {
    int bit = 1 << (digit - 1);
    s->grid[cell] ^= digit;
    s->rows[cell / s->side] ^= bit; s->cols[cell % s->side] ^= bit; s->boxes[s->box[cell]] ^= bit;
}

static void load(Sudoku *s, const int *cells) {
    memset(s->grid, 0, sizeof s->grid);
    memset(s->rows, 0, sizeof s->rows); memset(s->cols, 0, sizeof s->cols); memset(s->boxes, 0, sizeof s->boxes);
    for (int i = 0; i < s->cells; i++) if (cells[i]) toggle(s, i, cells[i]);
}

/* Tries digits in the blank cell that has the fewest, until `limit` solutions are found. */
static void search(Sudoku *s) {
    int best = -1, fewest = MOST_SIDE + 1, open = 0;
    for (int i = 0; i < s->cells && fewest > 1; i++) {
        if (s->grid[i]) continue;
        int left = ~(s->rows[i / s->side] | s->cols[i % s->side] | s->boxes[s->box[i]]) & ((1 << s->side) - 1);
        int count = __builtin_popcount((unsigned)left);
        if (count < fewest) { fewest = count; best = i; open = left; }
    }
    if (best < 0) {
        if (!s->found++) memcpy(s->first, s->grid, sizeof s->grid);
        return;
    }
    int digits[MOST_SIDE], n = 0;
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

/* `count` Sudokus with exactly one solution, [count, side * side] each: puzzles and answers. Clues of a full grid are
 * taken away in random order, one that is needed stays; it ends at a number of clues drawn from low..high, or with
 * low = high = 0 when every clue is needed. */
void sudokus(int box_rows, int box_cols, long count, uint64_t seed, int low, int high,
             uint8_t *puzzles, uint8_t *answers) {
    Sudoku s = {.side = box_rows * box_cols, .cells = box_rows * box_cols * box_rows * box_cols};
    uint64_t random = seeded(seed);
    for (int i = 0; i < s.cells; i++) s.box[i] = i / s.side / box_rows * box_rows + i % s.side / box_cols;
    for (; count > 0; count--, puzzles += s.cells, answers += s.cells) {
        int clues[MOST_SIDE * MOST_SIDE] = {0}, order[MOST_SIDE * MOST_SIDE];
        for (int i = 0; i < s.side; i++) clues[i] = i + 1;
        shuffle(&random, clues, s.side); /* a given first row keeps the search short and no grid from occurring */
        s.random = &random;
        solutions(&s, clues, 1);
        s.random = 0;
        memcpy(clues, s.first, sizeof clues);
        for (int i = 0; i < s.cells; i++) { answers[i] = (uint8_t)(clues[i] + 1); order[i] = i; }
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

/* The rows, columns and boxes of a kind of Sudoku. */
typedef struct {
    int side, cells;
    uint8_t units[3 * MOST_SIDE][MOST_SIDE];              /* the cells of each */
    uint8_t peers[MOST_SIDE * MOST_SIDE][3 * MOST_SIDE];  /* the other cells in the units of a cell */
    int peer_count;
} Layout;

typedef struct { uint16_t left[MOST_SIDE * MOST_SIDE]; } Candidates; /* bit d - 1: digit d is possible */

static Layout layout(int box_rows, int box_cols) {
    Layout l = {.side = box_rows * box_cols, .cells = box_rows * box_cols * box_rows * box_cols};
    int fill[3 * MOST_SIDE] = {0};
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
                if (l.units[u][k] != i && !memchr(l.peers[i], l.units[u][k], (size_t)n)) l.peers[i][n++] = l.units[u][k];
        }
        l.peer_count = n;
    }
    return l;
}

/* Sets one digit (a bit) and removes it from the peers, and so on for each peer with one candidate left.
 * Returns 0 on a contradiction. */
static int assign(const Layout *l, Candidates *c, int cell, uint16_t digit) {
    uint8_t stack[MOST_SIDE * MOST_SIDE];
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

/* Sets every digit that has one cell left in a unit, until there is none. Returns 0 on a contradiction. */
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
    int found, limit, guesses, most;                     /* `most`: the search stops after so many guesses */
    uint16_t solution[2][MOST_SIDE * MOST_SIDE];          /* the first two */
    uint64_t *random;                                     /* null: digits in order */
} Rated;

/* Singles, then a guess in the first cell with the fewest candidates. */
static void rated_search(Rated *r, Candidates *c) {
    const Layout *l = r->layout;
    if (!hidden_singles(l, c)) return;
    int best = -1, fewest = MOST_SIDE + 1;
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
    int digits[MOST_SIDE], n = 0;
    for (int d = 0; d < l->side; d++) if (c->left[best] >> d & 1) digits[n++] = d;
    if (r->random) shuffle(r->random, digits, n);
    for (int i = 0; i < n && r->found < r->limit && r->guesses <= r->most; i++) {
        Candidates next = *c;
        if (assign(l, &next, best, (uint16_t)(1u << digits[i]))) rated_search(r, &next);
    }
}

/* Solves `clues` (0 or a digit); returns the number of solutions up to `limit`. */
static int rated_solve(Rated *r, const uint8_t *clues, int limit) {
    Candidates c;
    for (int i = 0; i < r->layout->cells; i++) c.left[i] = (uint16_t)((1u << r->layout->side) - 1);
    r->found = r->guesses = 0; r->limit = limit;
    for (int i = 0; i < r->layout->cells; i++)
        if (clues[i] && !assign(r->layout, &c, i, (uint16_t)(1u << (clues[i] - 1)))) return 0;
    rated_search(r, &c);
    return r->found;
}

/* For each puzzle, the guesses of a backtracking solver that finds the solution and proves that there is no other. The
 * solver sets naked and hidden singles, then guesses in the first cell with the fewest candidates. A puzzle that singles
 * solve has 0; one without exactly one solution has -1. */
void sudoku_guesses(int box_rows, int box_cols, long count, const uint8_t *puzzles, int32_t *guesses) {
    Layout l = layout(box_rows, box_cols);
    Rated r = {.layout = &l, .most = INT32_MAX};
    for (long p = 0; p < count; p++, puzzles += l.cells) {
        uint8_t clues[MOST_SIDE * MOST_SIDE];
        for (int i = 0; i < l.cells; i++) clues[i] = (uint8_t)(puzzles[i] - 1);
        guesses[p] = rated_solve(&r, clues, 2) == 1 ? r.guesses : -1;
    }
}

/* Takes clues away in random order until each is needed. Returns the guesses. */
static int minimize(Rated *r, uint8_t *clues, uint64_t *random) {
    int order[MOST_SIDE * MOST_SIDE], n = 0;
    for (int i = 0; i < r->layout->cells; i++) if (clues[i]) order[n++] = i;
    shuffle(random, order, n);
    int guesses = -1;
    for (int i = 0; i < n; i++) {
        uint8_t digit = clues[order[i]];
        clues[order[i]] = 0;
        if (rated_solve(r, clues, 2) == 1) guesses = r->guesses; else clues[order[i]] = digit;
    }
    if (guesses < 0) { rated_solve(r, clues, 2); guesses = r->guesses; }
    return guesses;
}

/* Replaces one to three clues by others. Returns 0 where it gives up. */
static int mutate(Rated *r, uint8_t *clues, uint64_t *random) {
    int order[MOST_SIDE * MOST_SIDE], n = 0;
    for (int i = 0; i < r->layout->cells; i++) if (clues[i]) order[n++] = i;
    shuffle(random, order, n);
    int removed = below(random, 3) ? 1 : 2;
    for (int i = 0; i < removed; i++) clues[order[i]] = 0;
    for (int added = 0;; added++) {
        r->random = random;
        int found = rated_solve(r, clues, 2);
        r->random = 0;
        if (found == 1) return 1;
        if (found == 0 || added > removed + 1 || r->guesses > r->most) return 0;
        /* A clue that keeps one of two solutions, and not the other. */
        int differ[MOST_SIDE * MOST_SIDE], k = 0, keep = (int)below(random, 2);
        for (int i = 0; i < r->layout->cells; i++) if (r->solution[0][i] != r->solution[1][i]) differ[k++] = i;
        int cell = differ[below(random, (uint32_t)k)];
        clues[cell] = (uint8_t)(__builtin_ctz(r->solution[keep][cell]) + 1);
    }
}

enum { HARD_CHAIN = 128, SEED_CHAIN = 16, HARD_TRIES = 3000 };

/* `count` Sudokus that need at least `least` guesses, [count, side * side] each: puzzles and answers. Each chain starts
 * from one of the `starts` given, or without any from a minimal puzzle. The puzzle is mutated, and the mutant kept where
 * it needs no fewer guesses, until it is hard enough. Then the mutants that are hard enough are the next puzzles, each
 * made from the one before: up to HARD_CHAIN, or SEED_CHAIN of a given start. */
void hard_sudokus(int box_rows, int box_cols, long count, uint64_t seed, int least, long start_count,
                  const uint8_t *starts, uint8_t *puzzles, uint8_t *answers) {
    Layout l = layout(box_rows, box_cols);
    uint64_t random = seeded(seed);
    while (count > 0) {
        uint8_t clues[MOST_SIDE * MOST_SIDE], unused[MOST_SIDE * MOST_SIDE];
        if (start_count) memcpy(clues, starts + (long)below(&random, (uint32_t)start_count) * l.cells, (size_t)l.cells);
        else sudokus(box_rows, box_cols, 1, random, 0, 0, clues, unused);
        below(&random, 2);
        for (int i = 0; i < l.cells; i++) clues[i]--;
        Rated r = {.layout = &l, .most = 5000};
        rated_solve(&r, clues, 2);
        int guesses = r.guesses, made = 0, chain = start_count ? SEED_CHAIN : HARD_CHAIN;
        for (int tries = 0; tries < HARD_TRIES && made < chain && count > 0; tries++) {
            uint8_t next[MOST_SIDE * MOST_SIDE];
            memcpy(next, clues, sizeof next);
            int wanted = guesses < least ? guesses : least;
            if (!mutate(&r, next, &random)) continue;
            if (!memcmp(clues, next, sizeof next)) continue;
            rated_solve(&r, next, 2);
            int now = r.guesses;
            /* A mutant is not minimal for long: minimizing each would take most of the time. */
            if (2 * now >= wanted && (now < wanted || below(&random, 4) == 0)) now = minimize(&r, next, &random);
            if (now < wanted || now > r.most) continue;
            memcpy(clues, next, sizeof next);
            guesses = now;
            if (guesses < least) continue;
            rated_solve(&r, clues, 1);
            for (int i = 0; i < l.cells; i++) {
                puzzles[i] = (uint8_t)(clues[i] + 1);
                answers[i] = (uint8_t)(__builtin_ctz(r.solution[0][i]) + 2);
            }
            puzzles += l.cells; answers += l.cells; count--; made++;
        }
    }
}

/* ---- Mazes ---- */

/* The cell below, left, right or above; -1 outside. */
static int neighbour(int side, int cell, int direction) {
    int row = cell / side, col = cell % side;
    switch (direction) {
    case 0: return row + 1 < side ? cell + side : -1;
    case 1: return col > 0 ? cell - 1 : -1;
    case 2: return col + 1 < side ? cell + 1 : -1;
    default: return row > 0 ? cell - side : -1;
    }
}

/* Steps from `from` to each cell, -1 where there is no way; `queue` gets the cells that are reached, nearest first. */
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

/* The maze with a shortest path in it: of equal ones that which, from the start on, takes the first of down, left,
 * right, up. */
static void draw(int side, const uint8_t *maze, int start, int goal, const int *distance, uint8_t *answer) {
    memcpy(answer, maze, (size_t)(side * side));
    for (int cell = start; cell != goal;) {
        for (int d = 0; d < 4; d++) {
            int next = neighbour(side, cell, d);
            if (next >= 0 && distance[next] >= 0 && distance[next] == distance[cell] - 1) { cell = next; break; }
        }
        if (cell != goal) answer[cell] = PATH;
    }
}

/* The answer to a maze, if its goal can be reached; it is 0 otherwise. */
int solve_maze(int side, const uint8_t *maze, uint8_t *answer) {
    int distance[MOST_CELLS], queue[MOST_CELLS], start = 0, goal = 0;
    for (int i = 0; i < side * side; i++) { if (maze[i] == START) start = i; if (maze[i] == GOAL) goal = i; }
    measure(side, maze, goal, distance, queue);
    if (distance[start] < 0) return 0;
    draw(side, maze, start, goal, distance, answer);
    return 1;
}

/* `count` mazes and answers, [count, side * side] each. A maze has `smallest` to `largest` rows, another number and another
 * place in every grid, with walls around it. Between 30 and 45 % of its cells are walls; start and goal are at least
 * `least` steps apart in one of `largest` rows, fewer in the measure in which a maze has fewer. */
void mazes(int side, long count, uint64_t seed, int least, int smallest, int largest, uint8_t *puzzles, uint8_t *answers) {
    uint64_t random = seeded(seed);
    int distance[MOST_CELLS], queue[MOST_CELLS], cells = side * side;
    while (count > 0) {
        uint32_t share = 300 + below(&random, 150), spare = (uint32_t)(largest - smallest) + 1;
        int rows = spare > 1 ? smallest + (int)below(&random, spare) : largest, room = side - rows, place = 0;
        if (room) place = (int)below(&random, (uint32_t)room + 1) * side + (int)below(&random, (uint32_t)room + 1);
        memset(puzzles, WALL, (size_t)cells);
        for (int i = 0; i < rows * rows; i++)
            puzzles[place + i / rows * side + i % rows] = below(&random, 1000) < share ? WALL : FREE;
        int goal = place + (int)below(&random, (uint32_t)rows) * side + (int)below(&random, (uint32_t)rows);
        if (puzzles[goal] == WALL) continue;
        int reached = measure(side, puzzles, goal, distance, queue), far = 0;
        while (far < reached - 1 && distance[queue[reached - 1 - far]] * largest >= least * rows) far++;
        if (!far) continue;
        int start = queue[reached - 1 - (int)below(&random, (uint32_t)far)];
        puzzles[start] = START; puzzles[goal] = GOAL;
        draw(side, puzzles, start, goal, distance, answers);
        puzzles += cells; answers += cells; count--;
    }
}
