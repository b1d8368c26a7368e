"""Trains a model and writes the files that the published training writes.

The files are step_N (averaged weights), all_config.yaml and dataset.json.

    python models/train/train.py sudoku-6x6 --out runs/sudoku-6x6
    python models/train/train.py sudoku-6x6 --out runs/sudoku-6x6 --resume
    python models/train/train.py sudoku-9x9 --out runs/refitted --from runs/nine --halting-only

Deep supervision: an update is one refinement step of a batch, with a loss of its own. A puzzle's
states are carried to its next update, until the halting head halts or halt_max_steps is reached.
Then the slot takes a new puzzle. There are several times as many slots as puzzles in a batch, and
the updates use them in turn. Otherwise a puzzle would be in every update for a while. The model
would memorize it, and the halting head would learn to trust what was only memorized.
"""

import argparse
import copy
import io
import json
import math
import pathlib
import signal
import time
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

import arc
import data
import neighbours
import trm


@dataclass
class Recipe:
    """The shape of a model, its training data and its training settings."""

    config: trm.Config
    task: object
    kinds: list[tuple]  # generated puzzles: arguments of task.generate, and a share
    tests: list[str] | dict[str, data.Pairs]  # files in tests/data/puzzles, or puzzles by name
    updates: int
    batch: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.1
    ema: float = 0.999
    row_lr: float | None = None  # of the puzzle embedding, by SignSGD as published; None: AdamW
    exclude: bool = True  # leave out puzzles that are equivalent to test puzzles
    neighbours: bool = False  # attention heads start by looking at a cell's four neighbours
    stages: bool = False  # fewer passes per step at first


def shape(
    side: int, vocab: int, width: int, prefix: int = 0, attention: bool = False, heads: int = 2
) -> trm.Config:
    """Returns a TRM with two blocks and 2 x (3 + 1) passes."""
    return trm.Config(
        variant="trm", vocab_size=vocab, H_cycles=2, L_cycles=3, hidden_size=width, num_heads=heads,
        mlp_t=not attention, pos_encodings="rope" if attention else "none",
        puzzle_emb_ndim=width if prefix else 0, puzzle_emb_len=prefix, seq_len=side**2,
    )  # fmt: skip


def symbol_shape(
    side: int, box: tuple[int, int], mixer: str, width: int, mixer_inner: int, mlp_inner: int
) -> trm.Config:
    """Returns a TRM with a symbol axis, two blocks and 2 x (3 + 1) passes."""
    return trm.Config(
        variant="symbols", vocab_size=side + 2, H_cycles=2, L_cycles=3, hidden_size=width,
        pos_encodings="none", box=box, mixer=mixer, mixer_inner=mixer_inner, mlp_inner=mlp_inner,
        seq_len=side**2,
    )  # fmt: skip


def sudoku_9x9_tests() -> list[str]:
    generated = [f"sudoku_9x9_{kind}_test.csv" for kind in ("newspaper", "mixed", "minimal")]
    return [*generated, "sudoku_extreme_test_500.csv"]


RECIPES = {
    # There are so few different 4 x 4 Sudokus that test puzzles cannot be left out.
    "sudoku-4x4": Recipe(
        shape(4, 6, 64), data.Sudoku((2, 2)), [((4, 10), 1), ((0, 0), 1)],
        ["sudoku_4x4_test.csv"], 1000, batch=256, exclude=False, stages=True,
    ),
    "sudoku-6x6": Recipe(
        shape(6, 8, 128), data.Sudoku((2, 3)), [((10, 24), 1), ((0, 0), 1)],
        ["sudoku_6x6_mixed_test.csv", "sudoku_6x6_minimal_test.csv"], 2500, stages=True,
    ),
    "sudoku-9x9": Recipe(
        shape(9, 11, 128, prefix=2), data.Sudoku((3, 3)),
        [((32, 50), 1), ((24, 40), 2), ((0, 0), 3)], sudoku_9x9_tests(), 6000, stages=True,
    ),
    "sudoku-9x9-symbols": Recipe(
        symbol_shape(9, (3, 3), "units", width=64, mixer_inner=144, mlp_inner=128),
        data.Sudoku((3, 3)),
        [((24, 40), 1), ((0, 0), 2), *((data.Hard(least), 1) for least in (5, 20, 50))],
        sudoku_9x9_tests(), 6000, batch=16, stages=True,
    ),
    # The grid of a maze has one more column, so that a wall separates the end of a row from the
    # beginning of the next row.
    "maze-10x10": Recipe(
        shape(11, 6, 128, prefix=2, attention=True, heads=4), data.Maze(11),
        [(4, 10, 10, 1), (12, 10, 10, 2), (12, 4, 10, 1)],
        ["maze_10x10_test_1000.csv"], 4000, batch=64, lr=4e-4, neighbours=True,
    ),
    "maze-15x15": Recipe(
        shape(16, 6, 128, prefix=2, attention=True, heads=4), data.Maze(16),
        [(4, 15, 15, 1), (18, 15, 15, 2), (18, 5, 15, 1)],
        ["maze_15x15_test_300.csv", "maze_10x10_test_1000.csv"],
        4000, batch=32, lr=4e-4, neighbours=True,
    ),
    "maze-20x20": Recipe(
        shape(21, 6, 128, prefix=2, attention=True, heads=4), data.Maze(21),
        [(6, 20, 20, 1), (24, 20, 20, 2), (24, 8, 20, 1)],
        ["maze_20x20_test_200.csv", "maze_15x15_test_300.csv"],
        1000, batch=48, lr=1.5e-4, ema=0.995, neighbours=True,
    ),
    # A few tasks whose grids fit 6 x 6. Training takes minutes, and four steps are enough.
    "arc-small": Recipe(
        replace(shape(6, 12, 64, prefix=1), halt_max_steps=4), arc.Arc(6), [],
        [], 2000, batch=32, lr=2e-3, ema=0.99, row_lr=3e-2,
    ),
}  # fmt: skip


MUTATED_GUESSES = 30  # that a puzzle of --mutate needs at least


def parse_args() -> argparse.Namespace:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = p.add_argument
    add("name", choices=RECIPES)
    add("--out", type=pathlib.Path, required=True, help="folder for the model and resume.pt")
    add(
        "--resume",
        nargs="?",
        const="",
        metavar="FILE",
        help="continue from FILE, or from resume.pt in --out",
    )
    add("--from", dest="start", metavar="FOLDER", help="start from the weights of a model")
    add("--halting-only", action="store_true", help="fit the halting head anew and nothing else")
    add(
        "--endless",
        action="store_true",
        help="constant learning rate; train until stopped (SIGTERM saves)",
    )
    add("--updates", type=int, help="length of the run; the learning rate falls to 1/20 at its end")
    add("--minutes", type=float, help="length of the run, instead of --updates")
    add("--cpu-minutes", type=float, help="length of the run in CPU time of all threads")
    add("--ema", type=float, help="decay of the averaged weights")
    add("--set", nargs="+", default=[], metavar="KEY=VALUE", help="hyper-parameters of the model")
    add("--batch", type=int)
    add("--slots", type=int, default=8, help="slots per puzzle of a batch")
    add("--lr", type=float)
    add(
        "--warm",
        type=int,
        default=200,
        help="updates until the learning rate has risen to its peak",
    )
    add("--seed", type=int, default=0)
    add("--device", default="cpu")
    add(
        "--dtype",
        default="float32",
        help="bfloat16: faster on GPUs and on CPUs with AVX-512 BF16 or AMX",
    )
    add("--compile", action="store_true")
    add("--threads", type=int)
    add(
        "--data",
        nargs="+",
        default=[],
        metavar="FILE=SHARE",
        help="puzzles from files; ARC: the tasks",
    )
    add(
        "--mutate",
        nargs="+",
        default=[],
        metavar="FILE=SHARE",
        help="hard Sudokus made from those in files",
    )
    add("--workers", type=int, default=0, help="processes that generate puzzles")
    add("--exclude", nargs="+", default=[], metavar="FILE", help="more test puzzles to leave out")
    add("--forms", type=int, default=3, help="ARC: augmentations of each task")
    add("--side", type=int, help="mazes: rows of the grid, for a cheap start with small mazes")
    add(
        "--stages",
        action=argparse.BooleanOptionalAction,
        help="1/3 of the passes until 30 % of the run, 2/3 until 60 % (Sudokus: on)".replace(
            "%", "%%"
        ),
    )
    add(
        "--cycles",
        type=int,
        nargs=2,
        metavar=("H", "L"),
        help="passes per step in training, instead of the model's",
    )
    add(
        "--noise",
        type=float,
        default=0.0,
        metavar="SIGMA",
        help="deviation of normal noise on the initial states in training",
    )
    add("--fit", type=int, default=2048, help="puzzles for --halting-only")
    add(
        "--largest-file",
        type=float,
        metavar="MIB",
        help="split resume.pt, and write no larger step_N",
    )
    add("--save-every", type=float, default=3, metavar="MINUTES")
    add("--evaluate-every", type=float, default=15, metavar="MINUTES")
    add(
        "--evaluate",
        type=int,
        default=64,
        metavar="N",
        help="the first N puzzles of each test file",
    )
    return p.parse_args()


def to_tensors(arrays: tuple, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(torch.from_numpy(a).long().to(device) for a in arrays)


class Slots:
    """Puzzles that are being solved, one per slot.

    `inputs` and `labels` are [N, S], `ids` [N], each state [N, L, D]. `steps` [N] counts the steps
    so far. A puzzle does not halt before `least` [N] steps.
    """

    def __init__(
        self,
        model: trm.Model,
        stream,
        count: int,
        generator: torch.Generator,
        noise: float = 0.0,
    ):
        self.model, self.stream, self.generator, self.noise = model, stream, generator, noise
        self.inputs, self.labels, self.ids = to_tensors(
            stream.take(count), model.lm_head.weight.device
        )
        self.states = {name: self.start(state) for name, state in model.initial(count).items()}
        # The first puzzles start at different steps. Otherwise all would end in the same update,
        # again and again, until the halting head starts to halt.
        last = model.config.halt_max_steps
        self.steps = torch.randint(0, last, (count,), generator=generator).to(self.ids.device)
        self.least = self.explore(count)

    def start(self, state: Tensor) -> Tensor:
        """Returns a copy of an initial state with noise."""
        if not self.noise:
            return state.clone()
        return state + self.noise * torch.randn(state.shape, generator=self.generator).to(state)

    def explore(self, count: int) -> Tensor:
        """Draws the fewest steps of puzzles: more than 1 for one in ten, as published."""
        held = torch.rand(count, generator=self.generator) < 0.1
        least = torch.randint(
            2, self.model.config.halt_max_steps + 1, (count,), generator=self.generator
        )
        return torch.where(held, least, 1).to(self.ids.device)

    def advance(self, chosen: Tensor, states: dict[str, Tensor], halts: Tensor) -> None:
        """Stores the states after a step of the `chosen` slots. Replaces the puzzles that halt."""
        self.steps[chosen] += 1
        steps = self.steps[chosen]
        ends = (steps >= self.model.config.halt_max_steps) | (halts & (steps >= self.least[chosen]))
        for name, state in states.items():
            self.states[name][chosen] = state.detach()
        ended = chosen[ends]
        if len(ended):
            fresh = to_tensors(self.stream.take(len(ended)), ended.device)
            self.inputs[ended], self.labels[ended], self.ids[ended] = fresh
            for name, state in self.model.initial(len(ended)).items():
                self.states[name][ended] = self.start(state)
            self.steps[ended] = 0
            self.least[ended] = self.explore(len(ended))


def is_solved(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns whether all cells of each puzzle are right, [B]. Padding (label 0) does not count."""
    return ((logits.argmax(-1) == labels) | (labels == 0)).all(1)


def losses(logits: Tensor, labels: Tensor, q_halt: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the losses of the answer and of the halting logit.

    The first is the cross entropy, averaged over a puzzle's cells and then over the puzzles. The
    second is the binary cross entropy of halting exactly when the answer is right.
    """
    cells = F.cross_entropy(
        logits.float().transpose(1, 2), labels, ignore_index=0, reduction="none"
    )
    answer = (cells.sum(1) / (labels != 0).sum(1)).mean()
    return answer, F.binary_cross_entropy_with_logits(q_halt, is_solved(logits, labels).float())


@torch.no_grad()
def evaluate(model: trm.Model, inputs: Tensor, labels: Tensor, ids: Tensor) -> dict[str, float]:
    """Returns the share of solved puzzles and the mean steps under each halting rule.

    `head` takes the answer of the first step at which the head halts, `verified` the first such
    answer that is right, `never` the last answer.
    """
    states, last = model.initial(*inputs.shape), model.config.halt_max_steps
    every = torch.ones(len(inputs), dtype=torch.bool, device=inputs.device)
    live = {rule: every.clone() for rule in ("head", "verified")}
    solved = {rule: torch.zeros_like(live[rule]) for rule in live}
    steps = {rule: 0 for rule in live}
    for step in range(1, last + 1):
        states, logits, *q = model.step(states, inputs, ids)
        exact, halts = is_solved(logits, labels), model.halts(*q) | (step == last)
        for rule, ends in (("head", halts), ("verified", halts & exact)):
            steps[rule] += int(live[rule].sum())
            solved[rule] |= live[rule] & ends & exact
            live[rule] &= ~ends
    found = {rule: float(s.float().mean()) for rule, s in (solved | {"never": exact}).items()}
    found |= {f"{rule}_steps": count / len(inputs) for rule, count in steps.items()}
    return {name: round(value, 4) for name, value in found.items()}


@torch.no_grad()
def head_samples(model: trm.Model, stream, count: int, batch: int = 32) -> tuple[Tensor, Tensor]:
    """Returns what the halting head reads, [n, D], and whether the answer is right, [n].

    There is one sample per puzzle and step. A puzzle ends after four right answers, since its
    answer hardly changes any more.
    """
    seen, exact, done = [], [], 0
    while done < count:
        inputs, labels, ids = to_tensors(stream.take(batch), model.lm_head.weight.device)
        states, right_answers = model.initial(batch), torch.zeros_like(ids)
        for _ in range(model.config.halt_max_steps):
            states, logits, *_ = model.step(states, inputs, ids)
            now = is_solved(logits, labels)
            seen.append(model.halting_features(states[model.states[0]]).double())
            exact.append(now)
            right_answers += now
            stay = right_answers < 4
            if not stay.any():
                break
            inputs, labels, ids, right_answers = (
                t[stay] for t in (inputs, labels, ids, right_answers)
            )
            states = {name: state[stay] for name, state in states.items()}
        done += batch
        print(f"halting head: {done} puzzles, {sum(map(len, seen))} steps", flush=True)
    return torch.cat(seen), torch.cat(exact)


def fit_head(model: trm.Model, seen: Tensor, exact: Tensor) -> None:
    """Fits the halting logit to `exact` by logistic regression.

    Wrong answers weigh ten times as much as right ones: a wrong halt costs an answer, a missed halt
    only a step. The fit is pulled towards the trained head, because few samples are wrong.
    """
    start = model.q_head.weight[0].detach().double()
    weight, bias = (
        start.clone().requires_grad_(),
        model.q_head.bias[0].detach().double().requires_grad_(),
    )
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=500, history_size=20, line_search_fn="strong_wolfe"
    )
    weights = torch.where(exact, 1.0, 10.0).double()
    weights /= weights.sum()

    def loss() -> Tensor:
        logits = seen @ weight + bias
        fit = F.binary_cross_entropy_with_logits(logits, exact.double(), weights, reduction="sum")
        return fit + 1e-2 * (weight - start).square().sum()

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    before = loss().item()
    optimizer.step(closure)
    with torch.no_grad():
        model.q_head.weight[0], model.q_head.bias[0] = weight, bias
    print(f"halting head: loss {before:.4f} -> {loss().item():.4f}", flush=True)


def stage_cycles(share: float, config: trm.Config) -> tuple[int, int]:
    """Returns the H and L cycles at a share of the run: 1/3 of all, 2/3 of all, then all.

    They are rounded up. The method comes from arXiv 2511.08653.
    """
    part = 1 if share < 0.3 else 2 if share < 0.6 else 3
    return -(-config.H_cycles * part // 3), -(-config.L_cycles * part // 3)


def rate_factor(step: int, share: float, warm: int) -> float:
    """Returns the learning rate as a share of its peak.

    It rises over `warm` updates and falls linearly to 1/20 over the run.
    """
    return min(1, step / warm) * (1 - 0.95 * min(1, share))


def write_state(state: dict, path: pathlib.Path, largest: float | None = None) -> None:
    """Writes `path`, or parts `path.STEP.PART.PARTS` of at most `largest` MiB.

    Files are renamed when they are complete, and older parts are deleted after that.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    whole = buffer.getvalue()
    size = int(largest * 2**20) if largest else len(whole)
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    old = set(path.parent.glob(f"{path.name}.*")) if largest else set()
    for number, part in enumerate(parts):
        name = f"{path.name}.{state['step']}.{number}.{len(parts)}" if largest else path.name
        unfinished = path.with_name("resume.part")
        unfinished.write_bytes(part)
        unfinished.rename(path.with_name(name))
        old.discard(path.with_name(name))
    for file in old:
        file.unlink()


def read_state(path: pathlib.Path, device: torch.device) -> dict:
    """Reads `path`, or the latest complete set of its parts."""
    if path.exists():
        return torch.load(path, map_location=device)
    sets: dict[int, list[pathlib.Path]] = {}
    for file in path.parent.glob(f"{path.name}.*.*.*"):
        sets.setdefault(int(file.name.split(".")[-3]), []).append(file)
    for _, files in sorted(sets.items(), reverse=True):
        files.sort(key=lambda file: int(file.name.split(".")[-2]))
        if len(files) == int(files[0].name.split(".")[-1]):
            whole = b"".join(file.read_bytes() for file in files)
            return torch.load(io.BytesIO(whole), map_location=device)
    raise FileNotFoundError(f"{path} does not exist, nor does a complete set of its parts")


class Training:
    """A run: the model, its averaged weights, the optimizer and the data."""

    def __init__(self, a: argparse.Namespace):
        self.a, self.recipe = a, copy.deepcopy(RECIPES[a.name])
        r = self.recipe
        r.batch, r.lr, r.updates = a.batch or r.batch, a.lr or r.lr, a.updates or r.updates
        r.ema = a.ema or r.ema
        r.stages = r.stages if a.stages is None else a.stages
        if a.side:
            r.task, r.kinds = r.task.resized(a.side, r.kinds)
            r.config.seq_len = r.task.cells
        for key, _, value in (pair.partition("=") for pair in a.set):
            kind = type(getattr(r.config, key))
            setattr(r.config, key, value if kind is str else kind(json.loads(value)))
        self.device, dtype = torch.device(a.device), getattr(torch, a.dtype)
        torch.manual_seed(a.seed)
        self.generator = torch.Generator().manual_seed(a.seed)
        resumed = None
        if a.resume is not None:
            resumed = read_state(pathlib.Path(a.resume or a.out / "resume.pt"), self.device)
        self.step = resumed["step"] if resumed else trm.updates_of(a.start) if a.start else 0
        self.saved = self.step if a.resume == "" else None  # the N of step_N in --out
        self.open_data()
        self.model = trm.load(a.start, dtype) if a.start else trm.build(r.config, dtype)
        if r.neighbours and not a.start and not resumed:
            neighbours.initialize(self.model, r.task.side)
        self.model.to(self.device)
        self.ema = copy.deepcopy(self.model)
        rows = [
            p for n, p in self.model.named_parameters() if n == "puzzle_emb.weights" and r.row_lr
        ]
        self.rows = rows[0] if rows else None
        self.weights = [p for p in self.model.parameters() if p is not self.rows]
        self.optimizer = torch.optim.AdamW(
            self.weights, lr=r.lr, betas=(0.9, 0.95), weight_decay=r.weight_decay, fused=True
        )
        if resumed:
            self.model.load_state_dict(resumed["model"])
            self.ema.load_state_dict(resumed["ema"])
            self.optimizer.load_state_dict(resumed["opt"])
            for group in self.optimizer.param_groups:
                group["fused"] = True
            self.model.config.seq_len = resumed.get("seq_len", r.config.seq_len)
            print(f"resumes after update {self.step}", flush=True)
        if r.neighbours:
            before = math.isqrt(self.model.config.seq_len)
            for model in (self.model, self.ema):
                neighbours.resize(model, before, r.task.side)
                model.config.seq_len = r.task.cells
        parameters = sum(p.numel() for p in self.model.parameters())
        print(f"{parameters} parameters, {self.model.config}", flush=True)

    def open_data(self) -> None:
        """Opens the training stream and the test puzzles.

        A resumed run gets other generated puzzles than its beginning.
        """
        a, r = self.a, self.recipe
        files, starts = (
            [
                (f.rpartition("=")[0], float(f.rpartition("=")[2])) if "=" in f else (f, 1.0)
                for f in given
            ]
            for given in (a.data, a.mutate)
        )
        r.kinds += [(data.Hard(MUTATED_GUESSES, file), share) for file, share in starts]
        if isinstance(r.task, arc.Arc):
            self.stream, self.tests = (
                r.task.stream([f for f, _ in files], a.forms, a.seed, self.step),
                {},
            )
            r.config.num_puzzle_identifiers = len(self.stream.identifiers)
            known = a.out / "identifiers.json"
            if (
                a.resume is not None
                and known.exists()
                and json.loads(known.read_text()) != self.stream.identifiers
            ):
                raise ValueError(
                    f"{known} has other augmentations: resume with the same data, forms and seed"
                )
            return
        tests = (
            r.tests
            if isinstance(r.tests, dict)
            else {n: data.read(data.TESTS / n) for n in r.tests}
        )
        excluded = {path: data.read(path) for path in a.exclude}
        if isinstance(r.task, data.Maze):
            tests, excluded = (
                {
                    n: tuple(map(r.task.pad, pairs))
                    for n, pairs in of.items()
                    if pairs[0].shape[1] <= r.task.cells
                }
                for of in (tests, excluded)
            )
        left_out = [*(tests.values() if r.exclude else ()), *excluded.values()]
        left_out = [puzzles for puzzles, _ in left_out]
        stream = lambda seed: data.Stream(r.task, r.kinds, files, left_out, seed)
        seed = a.seed + self.step
        self.stream = data.Workers(a.workers, stream, seed) if a.workers else stream(seed)
        self.tests = tests

    def save(self) -> None:
        """Writes the averaged weights and the state for --resume."""
        a, r = self.a, self.recipe
        training = {
            "data_paths": [a.name, *a.data], "global_batch_size": r.batch, "lr": r.lr,
            "weight_decay": r.weight_decay, "ema": True, "ema_rate": r.ema, "seed": a.seed,
            "run_name": a.name,
        }  # fmt: skip
        trm.save(self.ema, a.out, self.step, training)
        for step in (self.saved, self.step):
            file = a.out / f"step_{step}"
            if file.exists() and (
                step != self.step or file.stat().st_size > (a.largest_file or math.inf) * 2**20
            ):
                file.unlink()
        self.saved = self.step
        trm.save_weights(self.ema, a.out / "averaged", self.step)
        if isinstance(self.recipe.task, arc.Arc):
            (a.out / "identifiers.json").write_text(json.dumps(self.stream.identifiers) + "\n")
        state = {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "opt": self.optimizer.state_dict(),
            "step": self.step,
            "seq_len": self.model.config.seq_len,
        }
        write_state(state, a.out / "resume.pt", a.largest_file)

    def report(self, model: trm.Model) -> None:
        """Prints the accuracy of a model on the first puzzles of each test file."""
        for name, pairs in self.tests.items():
            inputs, labels = (
                torch.from_numpy(x[: self.a.evaluate]).long().to(self.device) for x in pairs
            )
            found = evaluate(
                model,
                inputs,
                labels,
                torch.zeros(len(inputs), dtype=torch.long, device=self.device),
            )
            print(f"  {name}: {found}", flush=True)

    def update(self, chosen: Tensor, rate: float) -> tuple[float, float, float]:
        """Runs a refinement step of the chosen slots and updates the weights.

        Returns the losses of the answer and of the halting logit, and the share of solved puzzles.
        """
        s, r = self.slots, self.recipe
        inputs, labels, ids = s.inputs[chosen], s.labels[chosen], s.ids[chosen]
        states, logits, q_halt, q_continue = self.model.step(
            {n: z[chosen] for n, z in s.states.items()}, inputs, ids
        )
        answer, halting = losses(logits, labels, q_halt)
        self.model.zero_grad(set_to_none=True)
        (answer + 0.5 * halting).backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = r.lr * rate
        self.optimizer.step()
        with torch.no_grad():
            if self.rows is not None:
                used = torch.unique(ids)
                change = self.rows.grad[used].sign() + r.weight_decay * self.rows[used]
                self.rows[used] -= r.row_lr * rate * change
            decay = min(r.ema, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(
                list(self.ema.parameters()), list(self.model.parameters()), 1 - decay
            )
            s.advance(chosen, states, self.model.halts(q_halt, q_continue))
        return answer.item(), halting.item(), is_solved(logits, labels).float().mean().item()

    def run(self) -> None:
        """Trains until the run ends, saving and evaluating at intervals."""
        a, r = self.a, self.recipe
        if a.compile:
            self.model.compile_blocks()
        count = a.slots * r.batch
        self.slots = Slots(self.model, self.stream, count, self.generator, a.noise)
        begun = saved = evaluated = reported = time.monotonic()
        stopped: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
        cpu_begun = time.process_time()
        first, since, sums = self.step, self.step, torch.zeros(3)
        while True:
            now = time.monotonic()
            if a.cpu_minutes:
                share = (time.process_time() - cpu_begun) / (60 * a.cpu_minutes)
            else:
                share = (now - begun) / (60 * a.minutes) if a.minutes else self.step / r.updates
            stage = self.step / r.updates if a.endless else share
            if stopped or (share >= 1 and (not a.endless or a.minutes or a.cpu_minutes)):
                break
            self.step += 1
            if a.cycles:
                self.model.config.H_cycles, self.model.config.L_cycles = a.cycles
            elif r.stages:
                # The averaged model keeps all passes. It is evaluated and saved.
                cycles = stage_cycles(stage, self.ema.config)
                self.model.config.H_cycles, self.model.config.L_cycles = cycles
            chosen = (torch.arange(r.batch) + self.step * r.batch) % (a.slots * r.batch)
            rate = rate_factor(self.step - first, 0 if a.endless else share, a.warm)
            sums += torch.tensor(self.update(chosen.to(self.device), rate))
            now = time.monotonic()
            if self.step % 20 == 0:
                answer, halting, solved = sums / (self.step - since)
                speed = (now - reported) / (self.step - since)
                print(
                    f"update {self.step} loss {answer:.4f} halting {halting:.4f} "
                    f"solved {solved:.4f} "
                    f"rate {r.lr * rate:.2e} {speed:.2f} s/update {(now - begun) / 60:.1f} min "
                    f"cpu {(time.process_time() - cpu_begun) / 60:.1f} min",
                    flush=True,
                )
                reported, since, sums = now, self.step, torch.zeros(3)
            if now - saved > 60 * a.save_every:
                self.save()
                saved = now
            if now - evaluated > 60 * a.evaluate_every:
                self.report(self.ema)
                reported = evaluated = time.monotonic()
        self.save()
        if not stopped:
            self.report(self.ema)

    def refit(self) -> None:
        """Fits the halting head of the averaged weights."""
        fit_head(self.ema, *head_samples(self.ema, self.stream, self.a.fit))
        self.model.q_head.load_state_dict(self.ema.q_head.state_dict())
        self.save()
        self.report(self.ema)


def main() -> None:
    a = parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    a.out.mkdir(parents=True, exist_ok=True)
    training = Training(a)
    training.refit() if a.halting_only else training.run()


if __name__ == "__main__":
    main()
