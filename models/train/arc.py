"""ARC tasks as training and its evaluation see them: a row of the puzzle embedding for each form of each task.

    python models/train/arc.py MODEL TASKS.json [--solutions FILE] [--augment N] -o submission.json

evaluates a model in PyTorch as `trm-run arc` does: every form is answered by all steps, answers are brought back, equal
ones pooled and ranked by their number, then by the mean halting probability; two attempts are handed in.
"""

import argparse
import json
import pathlib
from dataclasses import dataclass

import numpy as np
import torch

import trm

MARK, BLACK = 1, 2  # tokens: 0 padding, the end of a grid, colour 0
TURNS = [
    lambda g: g, lambda g: np.rot90(g), lambda g: np.rot90(g, 2), lambda g: np.rot90(g, 3),
    np.fliplr, np.flipud, np.transpose, lambda g: np.fliplr(np.rot90(g)),
]  # fmt: skip
BACK = [0, 3, 2, 1, 4, 5, 6, 7]


@dataclass(frozen=True)
class Form:
    """A dihedral transform by its published number, and what each colour becomes."""

    turn: int = 0
    colours: tuple[int, ...] = tuple(range(10))

    def apply(self, grid: np.ndarray) -> np.ndarray:
        return TURNS[self.turn](np.array(self.colours)[grid])

    def undo(self, grid: np.ndarray) -> np.ndarray:
        return np.argsort(self.colours)[TURNS[BACK[self.turn]](grid)]

    @staticmethod
    def random(rng: np.random.Generator) -> "Form":
        """Any; black stays black, as published."""
        return Form(int(rng.integers(8)), (0, *map(int, 1 + rng.permutation(9))))

    def __str__(self) -> str:
        return f"t{self.turn}|||{''.join(map(str, self.colours))}"

    @staticmethod
    def parse(name: str) -> "Form":
        turn, colours = name.removeprefix("t").split("|||")
        return Form(int(turn), tuple(map(int, colours)))


def crop(tokens: np.ndarray) -> np.ndarray:
    """The largest top left rectangle [r, c] of a canvas [n, n] that is made of colours only, or an empty one."""
    colours = np.minimum.accumulate(tokens >= BLACK, 1).sum(1)  # of each row, from the left
    widths = np.minimum.accumulate(colours)
    if widths[0] == 0:
        return np.zeros((0, 0), np.int64)
    rows = int(np.argmax((np.arange(len(tokens)) + 1) * widths)) + 1
    return tokens[:rows, : widths[rows - 1]].astype(np.int64) - BLACK


def named_forms(identifiers: list[str]) -> dict[str, list[tuple[int, Form]]]:
    """The rows of each task, and their forms."""
    found: dict[str, list[tuple[int, Form]]] = {}
    for row, name in enumerate(identifiers):
        task, _, form = name.partition("|||")
        found.setdefault(task, []).append((row, Form.parse(form) if form else Form()))
    return found


@dataclass(frozen=True)
class Arc:
    """Grids on a canvas of side x side."""

    side: int

    def canvas(self, grid: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
        """Tokens [S] of a grid whose corner is there; marks below and right of it."""
        out = np.zeros((self.side + 1, self.side + 1), np.uint8)
        bottom, right = top + grid.shape[0], left + grid.shape[1]
        out[top:bottom, left:right] = grid + BLACK
        out[bottom, left:right] = out[top:bottom, right] = MARK
        return out[:-1, :-1].ravel()

    def stream(self, files: list[str], forms: int, seed: int, step: int = 0) -> "Stream":
        return Stream(self, files, forms, seed, step)


class Stream:
    """The `train` pairs of the tasks in their forms, without end; a quarter of them anywhere on the canvas."""

    def __init__(self, task: Arc, files: list[str], forms: int, seed: int, step: int):
        """`forms` of each task beside its own; `step`: the updates before a resumption, for other draws after it."""
        self.task, self.rng = task, np.random.default_rng(seed)
        tasks = {name: t for file in files for name, t in json.loads(pathlib.Path(file).read_text()).items()}
        self.identifiers, self.pairs = ["<blank>"], []
        for name, t in tasks.items():
            pairs = [(np.array(p["input"]), np.array(p["output"])) for p in t["train"]]
            others = dict.fromkeys(Form.random(self.rng) for _ in range(forms))
            for form in [None, *others]:
                row = len(self.identifiers)
                self.identifiers.append(name if form is None else f"{name}|||{form}")
                self.pairs += [(row, *((form or Form()).apply(grid) for grid in pair)) for pair in pairs]
        if step:
            self.rng = np.random.default_rng((seed, step))

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs and answers [count, S], and rows of the puzzle embedding [count]."""
        rows, inputs, answers = [], [], []
        for i in self.rng.integers(len(self.pairs), size=count):
            row, *pair = self.pairs[i]
            corner = (0, 0)
            if self.rng.random() < 0.25:
                corner = [int(self.rng.integers(self.task.side - max(g.shape[k] for g in pair) + 1)) for k in (0, 1)]
            rows.append(row)
            inputs.append(self.task.canvas(pair[0], *corner))
            answers.append(self.task.canvas(pair[1], *corner))
        return np.array(inputs), np.array(answers), np.array(rows)


@torch.no_grad()
def answer(model: trm.Model, inputs: np.ndarray, rows: list[int], batch: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Answers [n, S] after all steps, and the halting probabilities [n]."""
    answers, probabilities = [], []
    for i in range(0, len(inputs), batch):
        x, ids = torch.from_numpy(inputs[i : i + batch]).long(), torch.tensor(rows[i : i + batch])
        states = model.initial(len(x))
        for _ in range(model.config.halt_max_steps):
            states, logits, q_halt, _ = model.step(states, x, ids)
        answers.append(logits.argmax(-1).numpy())
        probabilities.append(torch.sigmoid(q_halt).numpy())
    return np.concatenate(answers), np.concatenate(probabilities)


def attempts(model: trm.Model, identifiers: list[str], tasks: dict, augment: int | None) -> dict[str, list[list]]:
    """For each test input of each task all answers, the best first."""
    canvas = Arc(int(model.config.seq_len**0.5))
    forms = named_forms(identifiers)
    ranked: dict[str, list[list]] = {}
    for name, task in tasks.items():
        known = forms[name][:augment]
        for test in task["test"]:
            grid = np.array(test["input"])
            inputs = np.stack([canvas.canvas(form.apply(grid)) for _, form in known])
            answers, probabilities = answer(model, inputs, [row for row, _ in known])
            pooled: dict[str, list[float]] = {}
            for (_, form), tokens, p in zip(known, answers, probabilities):
                back = form.undo(crop(tokens.reshape(canvas.side, -1)))
                pooled.setdefault(json.dumps(back.tolist()), []).append(float(p))
            best = sorted(pooled, key=lambda g: (len(pooled[g]), np.mean(pooled[g])), reverse=True)
            ranked.setdefault(name, []).append([json.loads(g) for g in best])
    return ranked


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=pathlib.Path)
    p.add_argument("tasks", type=pathlib.Path)
    p.add_argument("--solutions", type=pathlib.Path)
    p.add_argument("--augment", type=int)
    p.add_argument("-o", "--output", type=pathlib.Path, required=True)
    a = p.parse_args()
    identifiers = json.loads((a.model / "identifiers.json").read_text())
    ranked = attempts(trm.load(a.model), identifiers, json.loads(a.tasks.read_text()), a.augment)
    pair = lambda grids: {"attempt_1": grids[0], "attempt_2": grids[min(1, len(grids) - 1)]}
    a.output.write_text(json.dumps({name: [pair(grids) for grids in tests] for name, tests in ranked.items()}))
    if a.solutions:
        solutions = json.loads(a.solutions.read_text())
        for k in (1, 2):
            share = [np.mean([s in g[:k] for s, g in zip(solutions[n], tests)]) for n, tests in ranked.items()]
            print(f"pass@{k} {100 * np.mean(share):.2f} %")


if __name__ == "__main__":
    main()
