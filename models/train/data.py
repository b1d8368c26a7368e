"""Sudokus and mazes as tokens: generated without end, read from files, and none that is a test puzzle in disguise.

n puzzles of S cells: puzzles and answers are [n, S] uint8. Tokens are those of generate.c.
"""

import ctypes
import hashlib
import math
import multiprocessing
import pathlib
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

HERE = pathlib.Path(__file__).parent
TESTS = HERE.parents[1] / "tests/data/puzzles"
CODES = (
    {b: 0 for b in range(256)}
    | {ord("."): 1}
    | {48 + d: 1 + d for d in range(10)}
    | {b: 1 + i for i, b in enumerate(b"# SGo")}
)

WALL = 1  # of a maze

Pairs = tuple[np.ndarray, np.ndarray]


@cache
def library() -> ctypes.CDLL:
    """generate.c, compiled once for each version of it."""
    source = HERE / "generate.c"
    name = "trm-generate-" + hashlib.sha256(source.read_bytes()).hexdigest()[:16] + ".so"
    file = pathlib.Path(tempfile.gettempdir()) / name
    if not file.exists():
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".so", delete=False) as part:
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", part.name, str(source)], check=True)
        pathlib.Path(part.name).rename(file)
    return ctypes.CDLL(str(file))


def bytes_of(array: np.ndarray):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def read(path: str | pathlib.Path) -> Pairs:
    """A CSV file: a header, then `puzzle,answer`, the cells row by row."""
    rows = [line.split(",")[:2] for line in pathlib.Path(path).read_text().splitlines()[1:]]
    codes = np.array([CODES[b] for b in range(256)], np.uint8)
    return tuple(codes[np.array([list(row[i].encode()) for row in rows])] for i in (0, 1))


cached = cache(read)


def write(path: str | pathlib.Path, header: str, codes: str, pairs: Pairs) -> None:
    """What `read` reads; `codes` are the letters of the tokens from 1 on."""
    letters = np.frombuffer(("?" + codes).encode(), np.uint8)
    lines = (",".join(letters[grid].tobytes().decode() for grid in pair) for pair in zip(*pairs))
    pathlib.Path(path).write_text("\n".join([header, *lines]) + "\n")


def mix(x: np.ndarray) -> np.ndarray:
    """A hash of each 64-bit number (splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@dataclass(frozen=True)
class Hard:
    """Sudokus that need at least `least` guesses, made by changing the clues of the puzzles in a file or of new ones."""

    least: int
    file: str | None = None


@dataclass(frozen=True)
class Sudoku:
    """Sudokus with boxes of `box` rows x columns."""

    box: tuple[int, int]

    @property
    def side(self) -> int:
        return self.box[0] * self.box[1]

    @property
    def cells(self) -> int:
        return self.side**2

    def generate(self, count: int, seed: int, clues: tuple[int, int] | Hard) -> Pairs:
        """Puzzles with one solution; low..high clues, or as few as each allows with (0, 0), or hard ones."""
        if isinstance(clues, Hard):
            return self.generate_hard(count, seed, clues.least, cached(clues.file)[0] if clues.file else None)
        puzzles, answers = (np.empty((count, self.side**2), np.uint8) for _ in range(2))
        library().sudokus(
            *self.box, ctypes.c_long(count), ctypes.c_uint64(seed), *clues, bytes_of(puzzles), bytes_of(answers)
        )
        return puzzles, answers

    def generate_hard(self, count: int, seed: int, least: int, starts: np.ndarray | None = None) -> Pairs:
        """Puzzles that need at least `least` guesses, by changing clues of `starts` [n, S] or of generated puzzles."""
        starts = np.ascontiguousarray(np.empty((0, self.cells), np.uint8) if starts is None else starts)
        puzzles, answers = (np.empty((count, self.side**2), np.uint8) for _ in range(2))
        library().hard_sudokus(
            *self.box, ctypes.c_long(count), ctypes.c_uint64(seed), least, ctypes.c_long(len(starts)),
            bytes_of(starts), bytes_of(puzzles), bytes_of(answers),
        )  # fmt: skip
        return puzzles, answers

    def guesses(self, puzzles: np.ndarray) -> np.ndarray:
        """[n, S] -> [n]: guesses of a backtracking solver; -1 where there is not exactly one solution."""
        puzzles = np.ascontiguousarray(puzzles)
        found = np.empty(len(puzzles), np.int32)
        pointer = found.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        library().sudoku_guesses(*self.box, ctypes.c_long(len(puzzles)), bytes_of(puzzles), pointer)
        return found

    def augment(self, puzzles: np.ndarray, answers: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Each under a random symmetry: digits, bands, rows, stacks, columns; for square boxes the transposition."""
        count, side = len(puzzles), self.side
        (height, width) = self.box

        def lines(size: int) -> np.ndarray:
            band, inner = (
                rng.random((count, side // size)).argsort(1),
                rng.random((count, side // size, size)).argsort(2),
            )
            return (band[:, :, None] * size + np.take_along_axis(inner, band[:, :, None], 1)).reshape(count, side)

        cells = lines(height)[:, :, None] * side + lines(width)[:, None, :]
        if height == width:
            cells = np.where((rng.random(count) < 0.5)[:, None, None], cells.transpose(0, 2, 1), cells)
        cells = cells.reshape(count, side**2)
        digits = np.ones((count, side + 2), np.uint8)  # from token to token
        digits[:, 2:] = 2 + rng.random((count, side)).argsort(1)
        move = lambda grid: np.take_along_axis(digits, np.take_along_axis(grid, cells, 1).astype(np.int64), 1)
        return move(puzzles), move(answers)

    def classes(self, puzzles: np.ndarray) -> np.ndarray:
        """[n, S] -> [n]: equal for puzzles that a symmetry turns into each other, and hardly ever for others.

        Colours of cells, rows, columns, boxes and digits are refined by those of what they touch; rows and columns are
        alike, so that a transposition changes nothing.
        """
        count, side = len(puzzles), self.side
        row, col = np.divmod(np.arange(side**2), side)
        (height, width) = self.box
        box = row // height * height + col // width
        u = np.uint64
        held = [puzzles == d + 2 for d in range(side)]
        with np.errstate(over="ignore"):
            rows, cols, boxes, digits = (np.full((count, side), v, u) for v in (1, 1, 2, 3))
            for _ in range(6):
                of_digit = sum(held[d] * digits[:, d : d + 1] for d in range(side))
                cells = mix(
                    mix(mix(rows[:, row]) + mix(cols[:, col]))
                    + mix(boxes[:, box] ^ u(81)) * u(3)
                    + mix(of_digit ^ u(119)) * u(5)
                )
                gather = lambda unit, of: mix(
                    unit * u(3) + np.stack([mix(cells[:, of == i]).sum(1, dtype=u) for i in range(side)], 1)
                )
                rows, cols, boxes = gather(rows, row), gather(cols, col), gather(boxes, box)
                rows, cols = banded(rows, height), banded(cols, width)
                seen = mix(cells ^ u(51))
                digits = mix(digits * u(11) + np.stack([(seen * h).sum(1, dtype=u) for h in held], 1))
            return mix(cells).sum(1, dtype=u)


def banded(lines: np.ndarray, size: int) -> np.ndarray:
    """Colours of rows, refined by those of the rows in their band."""
    bands = mix(lines).reshape(len(lines), -1, size).sum(2, dtype=np.uint64)
    return mix(lines * np.uint64(7) + np.repeat(bands, size, 1))


@dataclass(frozen=True)
class Maze:
    """Square mazes in a grid of `side` rows."""

    side: int

    @property
    def cells(self) -> int:
        return self.side**2

    def generate(
        self, count: int, seed: int, least: int, smallest: int | None = None, largest: int | None = None
    ) -> Pairs:
        """Mazes of `smallest` to `largest` rows, `side` if not given; those that are smaller than the grid have walls around them.

        Start and goal are at least `least` steps apart in the largest, and fewer in smaller ones.
        """
        puzzles, answers = (np.empty((count, self.cells), np.uint8) for _ in range(2))
        library().mazes(
            self.side, ctypes.c_long(count), ctypes.c_uint64(seed), least, smallest or largest or self.side,
            largest or self.side, bytes_of(puzzles), bytes_of(answers),
        )  # fmt: skip
        return puzzles, answers

    def resized(self, side: int, kinds: list[tuple]) -> tuple["Maze", list[tuple]]:
        """The same in a grid of another size: the task and `kinds` of a recipe."""
        less = self.side - side
        return Maze(side), [
            (least * side // self.side, min(smallest, largest - less), largest - less, share)
            for least, smallest, largest, share in kinds
        ]

    def set(self, grids: np.ndarray) -> np.ndarray:
        """Mazes of fewer rows, or answers to them, in the top left of the grid with walls around them."""
        rows = math.isqrt(grids.shape[1])
        whole = np.full((len(grids), self.side, self.side), WALL, np.uint8)
        whole[:, :rows, :rows] = grids.reshape(-1, rows, rows)
        return whole.reshape(-1, self.cells)

    def turned(self, puzzles: np.ndarray, turn: int) -> np.ndarray:
        """The mazes under one of the eight symmetries of a square."""
        grids = np.rot90(puzzles.reshape(-1, self.side, self.side), turn % 4, (1, 2))
        return np.ascontiguousarray(grids.transpose(0, 2, 1) if turn > 3 else grids).reshape(len(puzzles), -1)

    def augment(self, puzzles: np.ndarray, answers: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Each turned or mirrored, and solved again: which of equal paths is the answer depends on directions."""
        turns = rng.integers(8, size=len(puzzles))
        puzzles = np.concatenate([self.turned(maze[None], turn) for maze, turn in zip(puzzles, turns)])
        answers = np.empty_like(puzzles)
        for maze, answer in zip(puzzles, answers):
            if not library().solve_maze(self.side, bytes_of(maze), bytes_of(answer)):
                raise ValueError("a maze has no way from start to goal")
        return puzzles, answers

    def classes(self, puzzles: np.ndarray) -> np.ndarray:
        """[n, S] -> [n]: equal for turned, mirrored or moved copies of each other, and hardly ever for others.

        Walls around a maze do not count: those of grids of different sizes can be compared.
        """
        hashes = []
        with np.errstate(over="ignore"):
            for turn in range(8):
                grids = self.turned(puzzles, turn)
                row, col = np.divmod(np.arange(self.cells), self.side)
                open_ = grids != WALL
                top, left = (np.where(open_, of, self.side).min(1)[:, None] for of in (row, col))
                place = mix(((row - top) * 256 + col - left + 1).astype(np.uint64))
                hashes.append((mix(grids * place + place) * open_).sum(1, dtype=np.uint64))
        return np.min(hashes, 0)


class Stream:
    """Training puzzles without end: shares of generated kinds and of files, without equals of test puzzles."""

    CHUNK = 256

    def __init__(
        self, task, kinds: list[tuple], files: list[tuple[str, float]], tests: list[np.ndarray], seed: int
    ):
        """`kinds`: arguments of `task.generate` and a share each; `files`: paths and a share each; `tests`: puzzles."""
        self.task, self.kinds = task, kinds
        self.files = [read(path) for path, _ in files]
        shares = np.array([kind[-1] for kind in kinds] + [share for _, share in files], float)
        self.shares = shares / shares.sum()
        self.rng = np.random.default_rng(seed)
        self.tests = np.unique(np.concatenate([task.classes(puzzles) for puzzles in tests])) if tests else None
        self.files = [self.clean(*pairs) for pairs in self.files]
        self.dropped = 0
        self.ready: Pairs = tuple(np.empty((0, task.cells), np.uint8) for _ in range(2))

    def clean(self, puzzles: np.ndarray, answers: np.ndarray) -> Pairs:
        """Without those that a symmetry turns into a test puzzle."""
        if self.tests is None:
            return puzzles, answers
        good = ~np.isin(self.task.classes(puzzles), self.tests)
        return puzzles[good], answers[good]

    def chunk(self) -> Pairs:
        parts = []
        counts = self.rng.multinomial(self.CHUNK, self.shares)
        for kind, count in zip(self.kinds, counts):
            parts.append(self.clean(*self.task.generate(int(count), int(self.rng.integers(1 << 62)), *kind[:-1])))
        for (puzzles, answers), count in zip(self.files, counts[len(self.kinds) :]):
            drawn = self.rng.integers(len(puzzles), size=count)
            parts.append(self.task.augment(puzzles[drawn], answers[drawn], self.rng))
        order = self.rng.permutation(sum(len(p) for p, _ in parts))
        self.dropped += self.CHUNK - len(order)
        return tuple(np.concatenate([part[i] for part in parts])[order] for i in (0, 1))

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The next `count` puzzles, answers, and puzzle identifiers [count]: all 0, the rules are the same for all."""
        while len(self.ready[0]) < count:
            self.ready = tuple(np.concatenate(both) for both in zip(self.ready, self.chunk()))
        taken, self.ready = tuple(a[:count] for a in self.ready), tuple(a[count:] for a in self.ready)
        return *taken, np.zeros(count, np.int64)


class Workers:
    """A stream that is filled by other processes, each with puzzles of its own."""

    def __init__(self, count: int, stream: Callable[[int], Stream], seed: int):
        """`stream` opens the stream of a seed."""
        context = multiprocessing.get_context("fork")
        self.queue = context.Queue(2 * count)
        self.ready: Pairs | None = None
        for worker in range(count):
            context.Process(target=self.fill, args=(stream, seed + 1_000_003 * (worker + 1)), daemon=True).start()

    def fill(self, stream: Callable[[int], Stream], seed: int) -> None:
        source = stream(seed)
        while True:
            self.queue.put(source.chunk())

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The next `count` puzzles, answers, and puzzle identifiers, as `Stream.take`."""
        while self.ready is None or len(self.ready[0]) < count:
            chunk = self.queue.get()
            self.ready = chunk if self.ready is None else tuple(map(np.concatenate, zip(self.ready, chunk)))
        taken, self.ready = tuple(a[:count] for a in self.ready), tuple(a[count:] for a in self.ready)
        return *taken, np.zeros(count, np.int64)


if __name__ == "__main__":
    # The mazes of tests/data/puzzles that nobody else has.
    write(TESTS / "maze_15x15_test_300.csv", "maze,solution", "# SGo", Maze(15).generate(300, 20261128, 18))
    write(TESTS / "maze_20x20_test_200.csv", "maze,solution", "# SGo", Maze(20).generate(200, 20261129, 24))
