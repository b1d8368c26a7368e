"""Generates Takuzu puzzles (binary Sudoku), 6 x 6, with one solution.

    python examples/takuzu/takuzu.py 200 > test.ndjson

Every row and column has three 0s and three 1s, no three equal digits in a row, and differs from all
others. Tokens: 0 is padding, as in all models; 1 is a blank cell; 2 and 3 are the digits. Only 4140
grids keep the rules, so all of them are listed. A puzzle has one solution if exactly one grid fits
its clues.
"""

import argparse
import itertools
import json
from functools import cache

import numpy as np

SIDE = 6
BLANK, ZERO = 1, 2


def fair(line) -> bool:
    return sum(line) == SIDE // 2 and not any(
        a == b == c for a, b, c in zip(line, line[1:], line[2:])
    )


@cache
def grids() -> np.ndarray:
    """Returns all grids that keep the rules, [n, S] of 0 and 1."""
    lines = [line for line in itertools.product((0, 1), repeat=SIDE) if fair(line)]
    stacks = [()]
    for row in range(1, SIDE + 1):
        stacks = [(*rows, line) for rows in stacks for line in lines if line not in rows]
        columns = lambda rows: [column[-3:] for column in zip(*rows)]
        stacks = [
            rows for rows in stacks if row < 3 or not any(len(set(c)) == 1 for c in columns(rows))
        ]
    whole = [rows for rows in stacks if len(set(zip(*rows))) == SIDE and all(map(fair, zip(*rows)))]
    return np.array(whole, np.uint8).reshape(-1, SIDE**2)


def packed(bits: np.ndarray) -> np.ndarray:
    """Packs [n, S] of 0 and 1 into [n], one integer for each grid."""
    return bits.astype(np.uint64) @ (np.uint64(1) << np.arange(SIDE**2, dtype=np.uint64))


@cache
def held_out() -> np.ndarray:
    """Returns which grids are for tests, [n]. All symmetric copies of a grid are treated alike."""
    squares = grids().reshape(-1, SIDE, SIDE)
    turned = [
        np.rot90(s, turn, (1, 2))
        for s in (squares, squares.transpose(0, 2, 1))
        for turn in range(4)
    ]
    codes = [packed(t.reshape(-1, SIDE**2) ^ flip) for t in turned for flip in (0, 1)]
    _, kind = np.unique(np.min(codes, 0), return_inverse=True)
    return kind % 10 == 0


class Takuzu:
    """The generator that `data.Stream` needs for a kind of puzzle."""

    cells = SIDE**2

    def generate(self, count: int, seed: int, clues: tuple[int, int], test: bool = False):
        """Returns puzzles and answers, [count, S] tokens.

        `clues` is the lowest and the highest number of clues. With (0, 0), each puzzle has as few
        as it allows.
        """
        rng = np.random.default_rng(seed)
        codes, bits = packed(grids()), np.uint64(1) << np.arange(SIDE**2, dtype=np.uint64)
        chosen = rng.choice(np.flatnonzero(held_out() == test), count)
        answers = grids()[chosen] + np.uint8(ZERO)
        puzzles = np.full_like(answers, BLANK)
        for puzzle, answer, code in zip(puzzles, answers, codes[chosen]):
            differs, kept, least = codes ^ code, bits.sum(), rng.integers(clues[0], clues[1] + 1)
            for bit in rng.permutation(bits):
                # Without this clue, only the solution itself may fit.
                if int(kept).bit_count() > least and (differs & (kept ^ bit) == 0).sum() == 1:
                    kept ^= bit
            given = kept & bits != 0
            puzzle[given] = answer[given]
        return puzzles, answers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int)
    count = parser.parse_args().count
    for tokens, solution in zip(*Takuzu().generate(count, 1, (8, 20), test=True)):
        print(
            json.dumps(
                {"tokens": tokens.tolist(), "solution": solution.tolist()}, separators=(",", ":")
            )
        )
