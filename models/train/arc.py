"""ARC tasks for training, and their evaluation in PyTorch.

Each augmentation of each task has a row of the puzzle embedding.

    python models/train/arc.py MODEL TASKS.json [--solutions FILE] [--augment N] -o submission.json

This command evaluates a model as `trm-run arc` does. It solves every augmentation of a test input
with all steps and undoes the augmentation of the answer. It ranks the different answers by how
often they occur, then by their mean halting probability. The two best are the attempts.
"""

import argparse
import json
import pathlib
from dataclasses import dataclass

import numpy as np
import torch

import trm

END, BLACK = 1, 2  # tokens: the border at the end of a grid, and colour 0; 0 is padding
TRANSFORMS = [
    lambda g: g, lambda g: np.rot90(g), lambda g: np.rot90(g, 2), lambda g: np.rot90(g, 3),
    np.fliplr, np.flipud, np.transpose, lambda g: np.fliplr(np.rot90(g)),
]  # fmt: skip
INVERSES = [0, 3, 2, 1, 4, 5, 6, 7]


@dataclass(frozen=True)
class Augmentation:
    """A transform of the square, by its published number, and the new colour of each colour."""

    transform: int = 0
    colors: tuple[int, ...] = tuple(range(10))

    def apply(self, grid: np.ndarray) -> np.ndarray:
        return TRANSFORMS[self.transform](np.array(self.colors)[grid])

    def undo(self, grid: np.ndarray) -> np.ndarray:
        return np.argsort(self.colors)[TRANSFORMS[INVERSES[self.transform]](grid)]

    @staticmethod
    def random(rng: np.random.Generator) -> "Augmentation":
        """Draws an augmentation. Black stays black, as published."""
        return Augmentation(int(rng.integers(8)), (0, *map(int, 1 + rng.permutation(9))))

    def __str__(self) -> str:
        return f"t{self.transform}|||{''.join(map(str, self.colors))}"

    @staticmethod
    def parse(name: str) -> "Augmentation":
        transform, colors = name.removeprefix("t").split("|||")
        return Augmentation(int(transform), tuple(map(int, colors)))


def crop(tokens: np.ndarray) -> np.ndarray:
    """Returns the largest rectangle [r, c] of colours at the top left of a canvas [n, n]."""
    colors = np.minimum.accumulate(tokens >= BLACK, 1).sum(1)  # at the left of each row
    widths = np.minimum.accumulate(colors)
    if widths[0] == 0:
        return np.zeros((0, 0), np.int64)
    rows = int(np.argmax((np.arange(len(tokens)) + 1) * widths)) + 1
    return tokens[:rows, : widths[rows - 1]].astype(np.int64) - BLACK


def augmentations_of(identifiers: list[str]) -> dict[str, list[tuple[int, Augmentation]]]:
    """Returns the embedding rows of each task and their augmentations."""
    found: dict[str, list[tuple[int, Augmentation]]] = {}
    for row, name in enumerate(identifiers):
        task, _, augmentation = name.partition("|||")
        found.setdefault(task, []).append(
            (row, Augmentation.parse(augmentation) if augmentation else Augmentation())
        )
    return found


@dataclass(frozen=True)
class Arc:
    """Grids on a canvas of `side` rows and columns."""

    side: int

    def canvas(self, grid: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
        """Returns the tokens [S] of a grid at a place, with a border below and at the right."""
        out = np.zeros((self.side + 1, self.side + 1), np.uint8)
        bottom, right = top + grid.shape[0], left + grid.shape[1]
        out[top:bottom, left:right] = grid + BLACK
        out[bottom, left:right] = out[top:bottom, right] = END
        return out[:-1, :-1].ravel()

    def stream(self, files: list[str], forms: int, seed: int, step: int = 0) -> "Stream":
        """Opens the training stream of task files."""
        return Stream(self, files, forms, seed, step)


class Stream:
    """An endless stream of the augmented `train` pairs of tasks.

    A quarter of the pairs lie anywhere on the canvas, the others at the top left.
    """

    def __init__(self, task: Arc, files: list[str], forms: int, seed: int, step: int):
        """Opens the stream with `forms` augmentations of each task beside the task itself.

        `step` is the number of updates before a resumption, and changes the draws.
        """
        self.task, self.rng = task, np.random.default_rng(seed)
        tasks = {
            name: t
            for file in files
            for name, t in json.loads(pathlib.Path(file).read_text()).items()
        }
        self.identifiers, self.pairs = ["<blank>"], []
        for name, t in tasks.items():
            pairs = [(np.array(p["input"]), np.array(p["output"])) for p in t["train"]]
            others = dict.fromkeys(Augmentation.random(self.rng) for _ in range(forms))
            for augmentation in [None, *others]:
                row = len(self.identifiers)
                self.identifiers.append(
                    name if augmentation is None else f"{name}|||{augmentation}"
                )
                self.pairs += [
                    (row, *((augmentation or Augmentation()).apply(grid) for grid in pair))
                    for pair in pairs
                ]
        if step:
            self.rng = np.random.default_rng((seed, step))

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns inputs and answers [count, S], and rows of the puzzle embedding [count]."""
        rows, inputs, answers = [], [], []
        for i in self.rng.integers(len(self.pairs), size=count):
            row, *pair = self.pairs[i]
            corner = (0, 0)
            if self.rng.random() < 0.25:
                corner = [
                    int(self.rng.integers(self.task.side - max(g.shape[k] for g in pair) + 1))
                    for k in (0, 1)
                ]
            rows.append(row)
            inputs.append(self.task.canvas(pair[0], *corner))
            answers.append(self.task.canvas(pair[1], *corner))
        return np.array(inputs), np.array(answers), np.array(rows)


@torch.no_grad()
def answer(
    model: trm.Model, inputs: np.ndarray, rows: list[int], batch: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the answers [n, S] after all steps, and the halting probabilities [n]."""
    answers, probabilities = [], []
    for i in range(0, len(inputs), batch):
        x, ids = torch.from_numpy(inputs[i : i + batch]).long(), torch.tensor(rows[i : i + batch])
        states = model.initial(len(x))
        for _ in range(model.config.halt_max_steps):
            states, logits, q_halt, _ = model.step(states, x, ids)
        answers.append(logits.argmax(-1).numpy())
        probabilities.append(torch.sigmoid(q_halt).numpy())
    return np.concatenate(answers), np.concatenate(probabilities)


def attempts(
    model: trm.Model, identifiers: list[str], tasks: dict, augment: int | None
) -> dict[str, list[list]]:
    """Returns the different answers to each test input of each task, the best first."""
    canvas = Arc(int(model.config.seq_len**0.5))
    augmentations = augmentations_of(identifiers)
    ranked: dict[str, list[list]] = {}
    for name, task in tasks.items():
        known = augmentations[name][:augment]
        for test in task["test"]:
            grid = np.array(test["input"])
            inputs = np.stack(
                [canvas.canvas(augmentation.apply(grid)) for _, augmentation in known]
            )
            answers, probabilities = answer(model, inputs, [row for row, _ in known])
            pooled: dict[str, list[float]] = {}
            for (_, augmentation), tokens, p in zip(known, answers, probabilities):
                back = augmentation.undo(crop(tokens.reshape(canvas.side, -1)))
                pooled.setdefault(json.dumps(back.tolist()), []).append(float(p))
            best = sorted(pooled, key=lambda g: (len(pooled[g]), np.mean(pooled[g])), reverse=True)
            ranked.setdefault(name, []).append([json.loads(g) for g in best])
    return ranked


def main() -> None:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("model", type=pathlib.Path)
    p.add_argument("tasks", type=pathlib.Path)
    p.add_argument("--solutions", type=pathlib.Path)
    p.add_argument("--augment", type=int)
    p.add_argument("-o", "--output", type=pathlib.Path, required=True)
    a = p.parse_args()
    identifiers = json.loads((a.model / "identifiers.json").read_text())
    ranked = attempts(trm.load(a.model), identifiers, json.loads(a.tasks.read_text()), a.augment)
    pair = lambda grids: {"attempt_1": grids[0], "attempt_2": grids[min(1, len(grids) - 1)]}
    a.output.write_text(
        json.dumps({name: [pair(grids) for grids in tests] for name, tests in ranked.items()})
    )
    if a.solutions:
        solutions = json.loads(a.solutions.read_text())
        for k in (1, 2):
            share = [
                np.mean([s in g[:k] for s, g in zip(solutions[n], tests)])
                for n, tests in ranked.items()
            ]
            print(f"pass@{k} {100 * np.mean(share):.2f} %")


if __name__ == "__main__":
    main()
