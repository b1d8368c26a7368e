"""Training puzzles as tokens: Sudokus and mazes, generated or from files, without test puzzles.

Puzzles and answers are uint8 arrays [n, S] of n puzzles with S cells. generate.c lists the tokens.
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
TOKENS = (  # the token of each character
    {b: 0 for b in range(256)}
    | {ord("."): 1}
    | {48 + d: 1 + d for d in range(10)}
    | {b: 1 + i for i, b in enumerate(b"# SGo")}
)

WALL = 1  # the token of a wall in a maze

Pairs = tuple[np.ndarray, np.ndarray]


@cache
def library() -> ctypes.CDLL:
    """Returns generate.c as a library. Each version of the file is compiled once."""
    source = HERE / "generate.c"
    name = "trm-generate-" + hashlib.sha256(source.read_bytes()).hexdigest()[:16] + ".so"
    file = pathlib.Path(tempfile.gettempdir()) / name
    if not file.exists():
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".so", delete=False) as part:
            subprocess.run(
                ["cc", "-O2", "-shared", "-fPIC", "-o", part.name, str(source)], check=True
            )
        pathlib.Path(part.name).rename(file)
    return ctypes.CDLL(str(file))


def byte_pointer(array: np.ndarray):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def read(path: str | pathlib.Path) -> Pairs:
    """Reads a CSV file: a header, then lines `puzzle,answer` with the cells row by row."""
    rows = [line.split(",")[:2] for line in pathlib.Path(path).read_text().splitlines()[1:]]
    codes = np.array([TOKENS[b] for b in range(256)], np.uint8)
    return tuple(codes[np.array([list(row[i].encode()) for row in rows])] for i in (0, 1))


cached = cache(read)


def write(path: str | pathlib.Path, header: str, characters: str, pairs: Pairs) -> None:
    """Writes a CSV file that `read` reads. `characters` are those of the tokens 1, 2, ..."""
    letters = np.frombuffer(("?" + characters).encode(), np.uint8)
    lines = (",".join(letters[grid].tobytes().decode() for grid in pair) for pair in zip(*pairs))
    pathlib.Path(path).write_text("\n".join([header, *lines]) + "\n")


def hash64(x: np.ndarray) -> np.ndarray:
    """Hashes each 64-bit number (splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@dataclass(frozen=True)
class Hard:
    """A kind of Sudoku: puzzles that need at least `least` guesses.

    They are made by changing clues of the puzzles in `file`, or of generated puzzles without it.
    """

    least: int
    file: str | None = None


@dataclass(frozen=True)
class Sudoku:
    """Sudokus whose boxes have `box` = (rows, columns)."""

    box: tuple[int, int]

    @property
    def side(self) -> int:
        return self.box[0] * self.box[1]

    @property
    def cells(self) -> int:
        return self.side**2

    def generate(self, count: int, seed: int, clues: tuple[int, int] | Hard) -> Pairs:
        """Generates puzzles with exactly one solution.

        `clues` is the lowest and highest number of clues, (0, 0) for puzzles that need every clue,
        or `Hard`.
        """
        if isinstance(clues, Hard):
            return self.generate_hard(
                count, seed, clues.least, cached(clues.file)[0] if clues.file else None
            )
        puzzles, answers = (np.empty((count, self.side**2), np.uint8) for _ in range(2))
        library().sudokus(
            *self.box,
            ctypes.c_long(count),
            ctypes.c_uint64(seed),
            *clues,
            byte_pointer(puzzles),
            byte_pointer(answers),
        )
        return puzzles, answers

    def generate_hard(
        self, count: int, seed: int, least: int, starts: np.ndarray | None = None
    ) -> Pairs:
        """Generates puzzles that need at least `least` guesses.

        They are made by changing clues of `starts` [n, S], or of generated puzzles without it.
        """
        starts = np.ascontiguousarray(
            np.empty((0, self.cells), np.uint8) if starts is None else starts
        )
        puzzles, answers = (np.empty((count, self.side**2), np.uint8) for _ in range(2))
        library().hard_sudokus(
            *self.box, ctypes.c_long(count), ctypes.c_uint64(seed), least,
            ctypes.c_long(len(starts)), byte_pointer(starts),
            byte_pointer(puzzles), byte_pointer(answers),
        )  # fmt: skip
        return puzzles, answers

    def guesses(self, puzzles: np.ndarray) -> np.ndarray:
        """Returns how often a backtracking solver guesses, [n, S] -> [n].

        generate.c describes the solver. Puzzles without exactly one solution have -1.
        """
        puzzles = np.ascontiguousarray(puzzles)
        found = np.empty(len(puzzles), np.int32)
        pointer = found.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        library().sudoku_guesses(
            *self.box, ctypes.c_long(len(puzzles)), byte_pointer(puzzles), pointer
        )
        return found

    def augment(self, puzzles: np.ndarray, answers: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Applies a random symmetry to each puzzle and its answer.

        Symmetries rename digits and exchange rows, columns, bands and stacks. Sudokus with square
        boxes are also transposed.
        """
        count, side = len(puzzles), self.side
        (height, width) = self.box

        def lines(size: int) -> np.ndarray:
            band, inner = (
                rng.random((count, side // size)).argsort(1),
                rng.random((count, side // size, size)).argsort(2),
            )
            return (
                band[:, :, None] * size + np.take_along_axis(inner, band[:, :, None], 1)
            ).reshape(count, side)

        cells = lines(height)[:, :, None] * side + lines(width)[:, None, :]
        if height == width:
            cells = np.where(
                (rng.random(count) < 0.5)[:, None, None], cells.transpose(0, 2, 1), cells
            )
        cells = cells.reshape(count, side**2)
        digits = np.ones((count, side + 2), np.uint8)  # the new token of each token
        digits[:, 2:] = 2 + rng.random((count, side)).argsort(1)
        move = lambda grid: np.take_along_axis(
            digits, np.take_along_axis(grid, cells, 1).astype(np.int64), 1
        )
        return move(puzzles), move(answers)

    def classes(self, puzzles: np.ndarray) -> np.ndarray:
        """Returns a number per puzzle that is equal for puzzles with a symmetry between them.

        [n, S] -> [n]. Other puzzles hardly ever have the same number. Cells, rows, columns, boxes
        and digits have colours, which are refined by the colours of their neighbours. Rows and
        columns are treated alike, so that a transposition changes nothing.
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
                cells = hash64(
                    hash64(hash64(rows[:, row]) + hash64(cols[:, col]))
                    + hash64(boxes[:, box] ^ u(81)) * u(3)
                    + hash64(of_digit ^ u(119)) * u(5)
                )
                gather = lambda unit, of: hash64(
                    unit * u(3)
                    + np.stack([hash64(cells[:, of == i]).sum(1, dtype=u) for i in range(side)], 1)
                )
                rows, cols, boxes = gather(rows, row), gather(cols, col), gather(boxes, box)
                rows, cols = refine_by_band(rows, height), refine_by_band(cols, width)
                seen = hash64(cells ^ u(51))
                digits = hash64(
                    digits * u(11) + np.stack([(seen * h).sum(1, dtype=u) for h in held], 1)
                )
            return hash64(cells).sum(1, dtype=u)


def refine_by_band(lines: np.ndarray, size: int) -> np.ndarray:
    """Refines the colours of rows by the colours of the rows in their band."""
    bands = hash64(lines).reshape(len(lines), -1, size).sum(2, dtype=np.uint64)
    return hash64(lines * np.uint64(7) + np.repeat(bands, size, 1))


@dataclass(frozen=True)
class Maze:
    """Square mazes in a grid of `side` rows and columns."""

    side: int

    @property
    def cells(self) -> int:
        return self.side**2

    def generate(
        self,
        count: int,
        seed: int,
        least: int,
        smallest: int | None = None,
        largest: int | None = None,
    ) -> Pairs:
        """Generates mazes of `smallest` to `largest` rows. Default of both: `side`.

        A maze that is smaller than the grid has walls around it. Start and goal are at least
        `least` steps apart in the largest mazes, and proportionally fewer in smaller ones.
        """
        puzzles, answers = (np.empty((count, self.cells), np.uint8) for _ in range(2))
        library().mazes(
            self.side, ctypes.c_long(count), ctypes.c_uint64(seed), least,
            smallest or largest or self.side, largest or self.side,
            byte_pointer(puzzles), byte_pointer(answers),
        )  # fmt: skip
        return puzzles, answers

    def resized(self, side: int, kinds: list[tuple]) -> tuple["Maze", list[tuple]]:
        """Returns the task and the `kinds` of a recipe for a smaller grid."""
        fewer_rows = self.side - side
        return Maze(side), [
            (
                least * side // self.side,
                min(smallest, largest - fewer_rows),
                largest - fewer_rows,
                share,
            )
            for least, smallest, largest, share in kinds
        ]

    def pad(self, grids: np.ndarray) -> np.ndarray:
        """Puts smaller mazes, or their answers, at the top left of the grid, with walls around."""
        rows = math.isqrt(grids.shape[1])
        whole = np.full((len(grids), self.side, self.side), WALL, np.uint8)
        whole[:, :rows, :rows] = grids.reshape(-1, rows, rows)
        return whole.reshape(-1, self.cells)

    def transformed(self, puzzles: np.ndarray, turn: int) -> np.ndarray:
        """Applies one of the eight symmetries of a square."""
        grids = np.rot90(puzzles.reshape(-1, self.side, self.side), turn % 4, (1, 2))
        return np.ascontiguousarray(grids.transpose(0, 2, 1) if turn > 3 else grids).reshape(
            len(puzzles), -1
        )

    def augment(self, puzzles: np.ndarray, answers: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Rotates or mirrors each maze and solves it again.

        The answer changes too: which of several shortest paths it is depends on directions.
        """
        turns = rng.integers(8, size=len(puzzles))
        puzzles = np.concatenate(
            [self.transformed(maze[None], turn) for maze, turn in zip(puzzles, turns)]
        )
        answers = np.empty_like(puzzles)
        for maze, answer in zip(puzzles, answers):
            if not library().solve_maze(self.side, byte_pointer(maze), byte_pointer(answer)):
                raise ValueError("a maze has no path from start to goal")
        return puzzles, answers

    def classes(self, puzzles: np.ndarray) -> np.ndarray:
        """Returns a number per maze that is equal for rotated, mirrored and moved copies.

        [n, S] -> [n]. Other mazes hardly ever have the same number. Walls around a maze do not
        count, so that mazes in grids of different sizes can be compared.
        """
        hashes = []
        with np.errstate(over="ignore"):
            for turn in range(8):
                grids = self.transformed(puzzles, turn)
                row, col = np.divmod(np.arange(self.cells), self.side)
                open_ = grids != WALL
                top, left = (np.where(open_, of, self.side).min(1)[:, None] for of in (row, col))
                place = hash64(((row - top) * 256 + col - left + 1).astype(np.uint64))
                hashes.append((hash64(grids * place + place) * open_).sum(1, dtype=np.uint64))
        return np.min(hashes, 0)


class Stream:
    """An endless stream of training puzzles: generated ones and augmented ones from files.

    It leaves out every puzzle that is equivalent to a test puzzle.
    """

    CHUNK = 256

    def __init__(
        self,
        task,
        kinds: list[tuple],
        files: list[tuple[str, float]],
        tests: list[np.ndarray],
        seed: int,
    ):
        """Opens the stream.

        `kinds` are arguments of `task.generate` with a share at the end, `files` are paths with a
        share. `tests` are arrays of test puzzles.
        """
        self.task, self.kinds = task, kinds
        self.files = [read(path) for path, _ in files]
        shares = np.array([kind[-1] for kind in kinds] + [share for _, share in files], float)
        self.shares = shares / shares.sum()
        self.rng = np.random.default_rng(seed)
        self.tests = (
            np.unique(np.concatenate([task.classes(puzzles) for puzzles in tests]))
            if tests
            else None
        )
        self.files = [self.without_tests(*pairs) for pairs in self.files]
        self.dropped = 0
        self.ready: Pairs = tuple(np.empty((0, task.cells), np.uint8) for _ in range(2))

    def without_tests(self, puzzles: np.ndarray, answers: np.ndarray) -> Pairs:
        """Drops the puzzles that are equivalent to a test puzzle."""
        if self.tests is None:
            return puzzles, answers
        good = ~np.isin(self.task.classes(puzzles), self.tests)
        return puzzles[good], answers[good]

    def chunk(self) -> Pairs:
        """Returns about CHUNK new puzzles."""
        parts = []
        counts = self.rng.multinomial(self.CHUNK, self.shares)
        for kind, count in zip(self.kinds, counts):
            parts.append(
                self.without_tests(
                    *self.task.generate(int(count), int(self.rng.integers(1 << 62)), *kind[:-1])
                )
            )
        for (puzzles, answers), count in zip(self.files, counts[len(self.kinds) :]):
            drawn = self.rng.integers(len(puzzles), size=count)
            parts.append(self.task.augment(puzzles[drawn], answers[drawn], self.rng))
        order = self.rng.permutation(sum(len(p) for p, _ in parts))
        self.dropped += self.CHUNK - len(order)
        return tuple(np.concatenate([part[i] for part in parts])[order] for i in (0, 1))

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the next `count` puzzles, answers, and puzzle identifiers [count], all 0."""
        while len(self.ready[0]) < count:
            self.ready = tuple(np.concatenate(both) for both in zip(self.ready, self.chunk()))
        taken, self.ready = (
            tuple(a[:count] for a in self.ready),
            tuple(a[count:] for a in self.ready),
        )
        return *taken, np.zeros(count, np.int64)


class Workers:
    """A stream whose puzzles come from other processes. Each process has another seed."""

    def __init__(self, count: int, stream: Callable[[int], Stream], seed: int):
        """Starts `count` processes. `stream` opens a stream with a seed."""
        context = multiprocessing.get_context("fork")
        self.queue = context.Queue(2 * count)
        self.ready: Pairs | None = None
        for worker in range(count):
            context.Process(
                target=self.fill, args=(stream, seed + 1_000_003 * (worker + 1)), daemon=True
            ).start()

    def fill(self, stream: Callable[[int], Stream], seed: int) -> None:
        """Puts chunks into the queue, without end."""
        source = stream(seed)
        while True:
            self.queue.put(source.chunk())

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the next `count` puzzles, answers and puzzle identifiers, as `Stream.take`."""
        while self.ready is None or len(self.ready[0]) < count:
            chunk = self.queue.get()
            self.ready = (
                chunk if self.ready is None else tuple(map(np.concatenate, zip(self.ready, chunk)))
            )
        taken, self.ready = (
            tuple(a[:count] for a in self.ready),
            tuple(a[count:] for a in self.ready),
        )
        return *taken, np.zeros(count, np.int64)


if __name__ == "__main__":
    # Writes the test mazes of tests/data/puzzles that come from this generator.
    write(
        TESTS / "maze_15x15_test_300.csv",
        "maze,solution",
        "# SGo",
        Maze(15).generate(300, 20261128, 18),
    )
    write(
        TESTS / "maze_20x20_test_200.csv",
        "maze,solution",
        "# SGo",
        Maze(20).generate(200, 20261129, 24),
    )
