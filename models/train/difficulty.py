"""Prints how hard Sudokus are: the guesses that a backtracking solver needs, as a Markdown table.

    python models/train/difficulty.py tests/data/puzzles/sudoku_9x9_*.csv
    python models/train/difficulty.py sudoku-9x9-symbols

Each argument is a CSV file or a recipe of train.py. The training puzzles of a recipe are generated.
The solver sets naked and hidden singles and guesses in the first cell with the fewest candidates,
until it has proved that there is exactly one solution. The ratings of Sudoku-Extreme are backtracks
of another solver, tdoku. It knows more rules, so that its numbers are lower.
"""

import argparse
import pathlib

import numpy as np

import data
import train

UPPER = (0, 5, 20, 50, 100, 200)  # the last number of guesses in each column but the last
BOXES = {16: (2, 2), 36: (2, 3), 81: (3, 3)}


def puzzles_of(name: str, count: int, files: list[str]) -> np.ndarray:
    """The puzzles of a file, or `count` of those that a recipe trains on, [n, S]."""
    if name not in train.RECIPES:
        return data.read(name)[0]
    recipe = train.RECIPES[name]
    pairs = [(file.rpartition("=")[0], float(file.rpartition("=")[2])) for file in files]
    return data.Stream(recipe.task, recipe.kinds, pairs, [], seed=0).take(count)[0]


def row(name: str, puzzles: np.ndarray) -> list[str]:
    """A row of the table."""
    guesses = data.Sudoku(BOXES[puzzles.shape[1]]).guesses(puzzles)
    if (guesses < 0).any():
        raise SystemExit(
            f"{name}: puzzle {int((guesses < 0).argmax()) + 1} does not have exactly one solution"
        )
    share = np.bincount(np.searchsorted(UPPER, guesses), minlength=len(UPPER) + 1) / len(guesses)
    quantiles = np.percentile(guesses, (25, 50, 75, 90))
    clues = (puzzles > 1).sum(1).mean()
    return [
        f"`{pathlib.Path(name).name}`", str(len(puzzles)), f"{clues:.1f}", f"{guesses.mean():.1f}",
        " / ".join(f"{q:.0f}" for q in quantiles), *(f"{100 * s:.1f}" for s in share),
    ]  # fmt: skip


def header() -> list[str]:
    ranges = [f"{low + 1}-{high}" for low, high in zip(UPPER, UPPER[1:])]
    quantiles = "25 / 50 / 75 / 90 % of puzzles"
    return [
        "puzzles of",
        "count",
        "clues",
        "mean guesses",
        quantiles,
        "0",
        *ranges,
        f"over {UPPER[-1]}",
    ]


def main() -> None:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("names", nargs="+", metavar="FILE|RECIPE")
    p.add_argument("--count", type=int, default=2000, help="puzzles to generate of a recipe")
    p.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="FILE=SHARE",
        help="files that the recipe trains on too",
    )
    a = p.parse_args()
    cells = header()
    print("|", " | ".join(cells), "|\n|---" + "|---:" * (len(cells) - 1) + "|")
    for name in a.names:
        print("|", " | ".join(row(name, puzzles_of(name, a.count, a.data))), "|", flush=True)


if __name__ == "__main__":
    main()
