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
