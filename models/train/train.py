"""Trains a model and leaves what the published training leaves: step_N, all_config.yaml, dataset.json.

    python models/train/train.py sudoku-6x6 --out runs/sudoku-6x6
    python models/train/train.py sudoku-6x6 --out runs/sudoku-6x6 --resume
    python models/train/train.py sudoku-9x9 --out runs/refitted --from runs/sudoku-9x9 --halting-only

Deep supervision: a puzzle's states are carried from update to update, each of which is one refinement step with a loss
of its own, until the halting head says stop or halt_max_steps are done; then the slot takes a new puzzle. There are
several times as many slots as a batch has, and each update takes the next ones: a puzzle that is in every update is
learnt by heart while it is at work, and the head then learns to halt on what only memory knew.
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
    """A model and how it is trained."""

    config: trm.Config
    task: object
    kinds: list[tuple]  # what is generated: arguments of task.generate, and a share
    tests: list[str] | dict[str, data.Pairs]  # files of tests/data/puzzles, or puzzles by name
    updates: int
    batch: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.1
    ema: float = 0.999
    row_lr: float | None = None  # of the puzzle embedding, by the sign of its gradient as published; none: as all else
    exclude: bool = True  # equals of test puzzles
    neighbours: bool = False  # heads start out looking at a cell's four neighbours
    stages: bool = False  # fewer passes a step at first


def shape(side: int, vocab: int, width: int, prefix: int = 0, attention: bool = False, heads: int = 2) -> trm.Config:
    """A TRM with two blocks and 2 x (3 + 1) passes."""
    return trm.Config(
        variant="trm", vocab_size=vocab, H_cycles=2, L_cycles=3, hidden_size=width, num_heads=heads, mlp_t=not attention,
        pos_encodings="rope" if attention else "none", puzzle_emb_ndim=width if prefix else 0, puzzle_emb_len=prefix,
        seq_len=side**2,
    )  # fmt: skip


def symbol_shape(side: int, box: tuple[int, int], mixer: str, width: int, mixer_inner: int, mlp_inner: int) -> trm.Config:
    """A TRM with an axis of symbols, two blocks and 2 x (3 + 1) passes."""
    return trm.Config(
        variant="symbols", vocab_size=side + 2, H_cycles=2, L_cycles=3, hidden_size=width, pos_encodings="none", box=box,
        mixer=mixer, mixer_inner=mixer_inner, mlp_inner=mlp_inner, seq_len=side**2,
    )  # fmt: skip


RECIPES = {
    # There are too few classes of 4 x 4 Sudokus to keep those of the tests out.
    "sudoku-4x4": Recipe(
        shape(4, 6, 64), data.Sudoku((2, 2)), [((4, 10), 1), ((0, 0), 1)],
        ["sudoku_4x4_test.csv"], 1000, batch=256, exclude=False, stages=True,
    ),
    "sudoku-6x6": Recipe(
        shape(6, 8, 128), data.Sudoku((2, 3)), [((10, 24), 1), ((0, 0), 1)],
        ["sudoku_6x6_mixed_test.csv", "sudoku_6x6_minimal_test.csv"], 2500, stages=True,
    ),
    "sudoku-9x9": Recipe(
        shape(9, 11, 128, prefix=2), data.Sudoku((3, 3)), [((32, 50), 1), ((24, 40), 2), ((0, 0), 3)],
        [*(f"sudoku_9x9_{kind}_test.csv" for kind in ("newspaper", "mixed", "minimal")), "sudoku_extreme_test_500.csv"],
        6000, stages=True,
    ),
    "sudoku-9x9-symbols": Recipe(
        symbol_shape(9, (3, 3), "units", width=64, mixer_inner=128, mlp_inner=128), data.Sudoku((3, 3)),
        [((24, 40), 1), ((0, 0), 2), *((data.Hard(least), 1) for least in (5, 20, 50))],
        [*(f"sudoku_9x9_{kind}_test.csv" for kind in ("newspaper", "mixed", "minimal")), "sudoku_extreme_test_500.csv"],
        6000, batch=16, stages=True,
    ),
    # Mazes have a grid of one column more: walls stand between the end of a row and the beginning of the next.
    "maze-10x10": Recipe(
        shape(11, 6, 128, prefix=2, attention=True, heads=4), data.Maze(11),
        [(4, 10, 10, 1), (12, 10, 10, 2), (12, 4, 10, 1)],
        ["maze_10x10_test_1000.csv"], 4000, batch=64, lr=4e-4, neighbours=True,
    ),
    "maze-15x15": Recipe(
        shape(16, 6, 128, prefix=2, attention=True, heads=4), data.Maze(16),
        [(4, 15, 15, 1), (18, 15, 15, 2), (18, 5, 15, 1)],
        ["maze_15x15_test_300.csv", "maze_10x10_test_1000.csv"], 4000, batch=32, lr=4e-4, neighbours=True,
    ),
    "maze-20x20": Recipe(
        shape(21, 6, 128, prefix=2, attention=True, heads=4), data.Maze(21),
        [(6, 20, 20, 1), (24, 20, 20, 2), (24, 8, 20, 1)],
        ["maze_20x20_test_200.csv", "maze_15x15_test_300.csv"], 1000, batch=48, lr=1.5e-4, ema=0.995, neighbours=True,
    ),
    # A few tasks whose grids fit 6 x 6, learnt in minutes; four steps are enough for them.
    "arc-small": Recipe(
        replace(shape(6, 12, 64, prefix=1), halt_max_steps=4), arc.Arc(6), [],
        [], 2000, batch=32, lr=2e-3, ema=0.99, row_lr=3e-2,
    ),
}  # fmt: skip


MUTATED_GUESSES = 30  # that a puzzle of --mutate needs at least


def options() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=RECIPES)
    p.add_argument(
        "--out", type=pathlib.Path, required=True, help="folder for step_N, all_config.yaml, dataset.json, resume.pt"
    )
    p.add_argument("--resume", nargs="?", const="", metavar="FILE", help="go on from resume.pt of --out, or from FILE")
    p.add_argument("--from", dest="start", metavar="FOLDER", help="start from the weights of a model")
    p.add_argument("--halting-only", action="store_true", help="only fit the halting head anew, all other weights stay")
    p.add_argument(
        "--endless", action="store_true", help="train until it is stopped (SIGTERM saves); the rate stays at its peak"
    )
    p.add_argument("--updates", type=int, help="in all; the rate falls to its twentieth until the last")
    p.add_argument("--minutes", type=float, help="instead: the rate falls, and it ends, by the clock")
    p.add_argument(
        "--cpu-minutes", type=float, help="the same by the CPU time of all threads, to compare runs on a busy machine"
    )
    p.add_argument("--ema", type=float, help="decay of the averaged weights")
    p.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="hyper-parameters of the recipe's model")
    p.add_argument("--batch", type=int)
    p.add_argument("--slots", type=int, default=8, help="puzzles at work, in batches")
    p.add_argument("--lr", type=float)
    p.add_argument("--warm", type=int, default=200, help="updates over which the rate rises")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", default="cpu")
    p.add_argument(
        "--dtype", default="float32", help="bfloat16 on GPUs, and on CPUs that multiply it (AVX-512 BF16, AMX)"
    )
    p.add_argument("--compile", action="store_true")
    p.add_argument("--threads", type=int)
    p.add_argument(
        "--data", nargs="+", default=[], metavar="FILE=SHARE", help="puzzles beside the generated ones; ARC: the tasks"
    )
    p.add_argument(
        "--mutate", nargs="+", default=[], metavar="FILE=SHARE", help="Sudokus made from the hard ones of a file"
    )
    p.add_argument("--workers", type=int, default=0, help="processes that generate puzzles; 0: the training itself")
    p.add_argument("--exclude", nargs="+", default=[], metavar="FILE", help="more test puzzles to keep out")
    p.add_argument("--forms", type=int, default=3, help="ARC: forms of each task beside its own")
    p.add_argument(
        "--side", type=int, help="mazes: in a grid of so many rows, a cheap start for a model of larger ones"
    )
    p.add_argument(
        "--stages",
        action=argparse.BooleanOptionalAction,
        help="a third of the passes until 30 percent of the run, two thirds until 60, then all (Sudokus: yes)",
    )
    p.add_argument("--fit", type=int, default=2048, help="puzzles for --halting-only")
    p.add_argument(
        "--largest-file", type=float, metavar="MIB", help="resume.pt in parts of so many MiB, and no step_N that is larger"
    )
    p.add_argument("--save-every", type=float, default=3, metavar="MINUTES")
    p.add_argument("--evaluate-every", type=float, default=15, metavar="MINUTES")
    p.add_argument("--evaluate", type=int, default=64, metavar="N", help="the first N puzzles of each test file")
    return p.parse_args()


def tensors(arrays: tuple, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(torch.from_numpy(a).long().to(device) for a in arrays)


class Slots:
    """The puzzles at work: inputs, labels [N, S], ids [N], states [N, L, D], steps done and fewest steps [N]."""

    def __init__(self, model: trm.Model, stream, count: int, generator: torch.Generator):
        self.model, self.stream, self.generator = model, stream, generator
        self.inputs, self.labels, self.ids = tensors(stream.take(count), model.lm_head.weight.device)
        self.states = {name: state.clone() for name, state in model.initial(count).items()}
        # As if they had been at work for some time: else they would all end at once, again and again, while none halts.
        last = model.config.halt_max_steps
        self.steps = torch.randint(0, last, (count,), generator=generator).to(self.ids.device)
        self.least = self.explore(count)

    def explore(self, count: int) -> Tensor:
        """Steps before which a puzzle does not halt: one in ten is held back, as published."""
        held = torch.rand(count, generator=self.generator) < 0.1
        least = torch.randint(2, self.model.config.halt_max_steps + 1, (count,), generator=self.generator)
        return torch.where(held, least, 1).to(self.ids.device)

    def advance(self, chosen: Tensor, states: dict[str, Tensor], halts: Tensor) -> None:
        """Takes the states after a step of the `chosen` slots; who halts is replaced."""
        self.steps[chosen] += 1
        steps = self.steps[chosen]
        ends = (steps >= self.model.config.halt_max_steps) | (halts & (steps >= self.least[chosen]))
        for name, state in states.items():
            self.states[name][chosen] = state.detach()
        ended = chosen[ends]
        if len(ended):
            fresh = tensors(self.stream.take(len(ended)), ended.device)
            self.inputs[ended], self.labels[ended], self.ids[ended] = fresh
            for name, state in self.model.initial(len(ended)).items():
                self.states[name][ended] = state
            self.steps[ended] = 0
            self.least[ended] = self.explore(len(ended))


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """[B]: whether all cells are; padding (label 0) does not count."""
    return ((logits.argmax(-1) == labels) | (labels == 0)).all(1)


def losses(logits: Tensor, labels: Tensor, q_halt: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy, the mean of a puzzle's cells and then of the puzzles; and of halting where the answer is right."""
    cells = F.cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=0, reduction="none")
    answer = (cells.sum(1) / (labels != 0).sum(1)).mean()
    return answer, F.binary_cross_entropy_with_logits(q_halt, right(logits, labels).float())


@torch.no_grad()
def evaluate(model: trm.Model, inputs: Tensor, labels: Tensor, ids: Tensor) -> dict[str, float]:
    """Shares solved by the first step that the head halts on, by the first right one, by the last; mean steps."""
    states, last = model.initial(*inputs.shape), model.config.halt_max_steps
    live = {rule: torch.ones(len(inputs), dtype=torch.bool, device=inputs.device) for rule in ("head", "verified")}
    solved = {rule: torch.zeros_like(live[rule]) for rule in live}
    steps = {rule: 0 for rule in live}
    for step in range(1, last + 1):
        states, logits, *q = model.step(states, inputs, ids)
        exact, halts = right(logits, labels), model.halts(*q) | (step == last)
        for rule, ends in (("head", halts), ("verified", halts & exact)):
            steps[rule] += int(live[rule].sum())
            solved[rule] |= live[rule] & ends & exact
            live[rule] &= ~ends
    shares = {rule: float(s.float().mean()) for rule, s in (solved | {"never": exact}).items()}
    return {k: round(v, 4) for k, v in (shares | {f"{r}_steps": n / len(inputs) for r, n in steps.items()}).items()}


@torch.no_grad()
def head_samples(model: trm.Model, stream, count: int, batch: int = 32) -> tuple[Tensor, Tensor]:
    """What the halting head sees after each step, [n, D], and whether the answer was right then, [n].

    A puzzle leaves after four right answers: they hardly change any more.
    """
    seen, exact, done = [], [], 0
    while done < count:
        inputs, labels, ids = tensors(stream.take(batch), model.lm_head.weight.device)
        states, rights = model.initial(batch), torch.zeros_like(ids)
        for _ in range(model.config.halt_max_steps):
            states, logits, *_ = model.step(states, inputs, ids)
            now = right(logits, labels)
            seen.append(model.halting_features(states[model.states[0]]).double())
            exact.append(now)
            rights += now
            stay = rights < 4
            if not stay.any():
                break
            inputs, labels, ids, rights = (t[stay] for t in (inputs, labels, ids, rights))
            states = {name: state[stay] for name, state in states.items()}
        done += batch
        print(f"halting head: {done} puzzles, {sum(map(len, seen))} steps", flush=True)
    return torch.cat(seen), torch.cat(exact)


def fit_head(model: trm.Model, seen: Tensor, exact: Tensor) -> None:
    """Fits the halting logit to `exact` by logistic regression.

    A wrong halt costs an answer, a missed one only a step: wrong answers weigh ten times. What the samples leave open
    (few of them are wrong) stays as training left it: the fit is pulled towards where it starts.
    """
    start = model.q_head.weight[0].detach().double()
    weight, bias = start.clone().requires_grad_(), model.q_head.bias[0].detach().double().requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=500, history_size=20, line_search_fn="strong_wolfe")
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


def passes(share: float, config: trm.Config) -> tuple[int, int]:
    """H and L cycles at a share of the run: thirds of the full ones, rounded up (arXiv 2511.08653)."""
    part = 1 if share < 0.3 else 2 if share < 0.6 else 3
    return -(-config.H_cycles * part // 3), -(-config.L_cycles * part // 3)


def schedule(step: int, share: float, warm: int) -> float:
    """Of the peak: a rise over `warm` updates, and a line down to a twentieth over the whole run."""
    return min(1, step / warm) * (1 - 0.95 * min(1, share))


def write_state(state: dict, path: pathlib.Path, largest: float | None = None) -> None:
    """Writes `path`, or parts `path.STEP.PART.PARTS` of at most `largest` MiB; a file is never half written."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    whole, size = buffer.getvalue(), int((largest or math.inf) * 2**20) if largest else len(buffer.getvalue())
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    old = set(path.parent.glob(f"{path.name}.*")) if largest else set()
    for number, part in enumerate(parts):
        name = f"{path.name}.{state['step']}.{number}.{len(parts)}" if largest else path.name
        beside = path.with_name("resume.part")
        beside.write_bytes(part)
        beside.rename(path.with_name(name))
        old.discard(path.with_name(name))
    for file in old:
        file.unlink()


def read_state(path: pathlib.Path, device: torch.device) -> dict:
    """Reads what `write_state` wrote: `path`, or the latest complete set of its parts."""
    if path.exists():
        return torch.load(path, map_location=device)
    sets: dict[int, list[pathlib.Path]] = {}
    for file in path.parent.glob(f"{path.name}.*.*.*"):
        sets.setdefault(int(file.name.split(".")[-3]), []).append(file)
    for _, files in sorted(sets.items(), reverse=True):
        files.sort(key=lambda file: int(file.name.split(".")[-2]))
        if len(files) == int(files[0].name.split(".")[-1]):
            return torch.load(io.BytesIO(b"".join(file.read_bytes() for file in files)), map_location=device)
    raise FileNotFoundError(f"neither {path} nor all of its parts are there")


class Training:
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
            setattr(r.config, key, type(getattr(r.config, key))(json.loads(value)) if value[0] in "0123456789ft" else value)
        self.device, dtype = torch.device(a.device), getattr(torch, a.dtype)
        torch.manual_seed(a.seed)
        self.generator = torch.Generator().manual_seed(a.seed)
        resumed = None if a.resume is None else read_state(pathlib.Path(a.resume or a.out / "resume.pt"), self.device)
        self.step = resumed["step"] if resumed else (trm.updates_of(a.start) if a.start else 0)
        self.saved = self.step if a.resume == "" else None  # the N of this run's step_N
        self.open_data()
        self.model = trm.load(a.start, dtype) if a.start else trm.build(r.config, dtype)
        if r.neighbours and not a.start and not resumed:
            neighbours.look_around(self.model, r.task.side)
        self.model.to(self.device)
        self.ema = copy.deepcopy(self.model)
        rows = [p for n, p in self.model.named_parameters() if n == "puzzle_emb.weights" and r.row_lr]
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
            print(f"goes on after update {self.step}", flush=True)
        if r.neighbours:
            before = math.isqrt(self.model.config.seq_len)
            for model in (self.model, self.ema):
                neighbours.turn(model, before, r.task.side)
                model.config.seq_len = r.task.cells
        print(f"{sum(p.numel() for p in self.model.parameters())} parameters, {self.model.config}", flush=True)

    def open_data(self) -> None:
        """Opens `stream`, what is trained on (other puzzles after a resumption), and `tests`."""
        a, r = self.a, self.recipe
        files, starts = (
            [(f.rpartition("=")[0], float(f.rpartition("=")[2])) if "=" in f else (f, 1.0) for f in given]
            for given in (a.data, a.mutate)
        )
        r.kinds += [(data.Hard(MUTATED_GUESSES, file), share) for file, share in starts]
        if isinstance(r.task, arc.Arc):
            self.stream, self.tests = r.task.stream([f for f, _ in files], a.forms, a.seed, self.step), {}
            r.config.num_puzzle_identifiers = len(self.stream.identifiers)
            known = a.out / "identifiers.json"
            if a.resume is not None and known.exists() and json.loads(known.read_text()) != self.stream.identifiers:
                raise ValueError(f"{known} has other forms: resume with the same --data, --forms and --seed")
            return
        tests = r.tests if isinstance(r.tests, dict) else {n: data.read(data.TESTS / n) for n in r.tests}
        excluded = {path: data.read(path) for path in a.exclude}
        if isinstance(r.task, data.Maze):
            tests, excluded = (
                {n: tuple(map(r.task.pad, pairs)) for n, pairs in of.items() if pairs[0].shape[1] <= r.task.cells}
                for of in (tests, excluded)
            )
        kept_out = [puzzles for puzzles, _ in (*(tests.values() if r.exclude else ()), *excluded.values())]
        stream = lambda seed: data.Stream(r.task, r.kinds, files, kept_out, seed)
        seed = a.seed + self.step
        self.stream = data.Workers(a.workers, stream, seed) if a.workers else stream(seed)
        self.tests = tests

    def save(self) -> None:
        a, r = self.a, self.recipe
        training = {
            "data_paths": [a.name, *a.data], "global_batch_size": r.batch, "lr": r.lr, "weight_decay": r.weight_decay,
            "ema": True, "ema_rate": r.ema, "seed": a.seed, "run_name": a.name,
        }  # fmt: skip
        trm.save(self.ema, a.out, self.step, training)
        for step in (self.saved, self.step):
            file = a.out / f"step_{step}"
            if file.exists() and (step != self.step or file.stat().st_size > (a.largest_file or math.inf) * 2**20):
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
        """The averaged weights on the first puzzles of the test files."""
        for name, pairs in self.tests.items():
            inputs, labels = (torch.from_numpy(x[: self.a.evaluate]).long().to(self.device) for x in pairs)
            found = evaluate(model, inputs, labels, torch.zeros(len(inputs), dtype=torch.long, device=self.device))
            print(f"  {name}: {found}", flush=True)

    def update(self, chosen: Tensor, rate: float) -> tuple[float, float, float]:
        """One refinement step of the chosen slots, and learning from it: losses of answer and halting, share solved."""
        s, r = self.slots, self.recipe
        inputs, labels, ids = s.inputs[chosen], s.labels[chosen], s.ids[chosen]
        states, logits, q_halt, q_continue = self.model.step({n: z[chosen] for n, z in s.states.items()}, inputs, ids)
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
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.model.parameters()), 1 - decay)
            s.advance(chosen, states, self.model.halts(q_halt, q_continue))
        return answer.item(), halting.item(), right(logits, labels).float().mean().item()

    def run(self) -> None:
        a, r = self.a, self.recipe
        if a.compile:
            self.model.compile_blocks()
        self.slots = Slots(self.model, self.stream, a.slots * r.batch, self.generator)
        begun = saved = evaluated = told = time.monotonic()
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
            if r.stages:
                # The averaged weights keep all passes: they are what is evaluated and saved.
                self.model.config.H_cycles, self.model.config.L_cycles = passes(stage, self.ema.config)
            chosen = (torch.arange(r.batch) + self.step * r.batch) % (a.slots * r.batch)
            rate = schedule(self.step - first, 0 if a.endless else share, a.warm)
            sums += torch.tensor(self.update(chosen.to(self.device), rate))
            now = time.monotonic()
            if self.step % 20 == 0:
                answer, halting, solved = sums / (self.step - since)
                speed = (now - told) / (self.step - since)
                print(
                    f"update {self.step} loss {answer:.4f} halting {halting:.4f} solved {solved:.4f} "
                    f"rate {r.lr * rate:.2e} {speed:.2f} s/update {(now - begun) / 60:.1f} min "
                    f"cpu {(time.process_time() - cpu_begun) / 60:.1f} min",
                    flush=True,
                )
                told, since, sums = now, self.step, torch.zeros(3)
            if now - saved > 60 * a.save_every:
                self.save()
                saved = now
            if now - evaluated > 60 * a.evaluate_every:
                self.report(self.ema)
                told = evaluated = time.monotonic()
        self.save()
        if not stopped:
            self.report(self.ema)

    def refit(self) -> None:
        """Fits the halting head of the averaged weights anew."""
        fit_head(self.ema, *head_samples(self.ema, self.stream, self.a.fit))
        self.model.q_head.load_state_dict(self.ema.q_head.state_dict())
        self.save()
        self.report(self.ema)


def main() -> None:
    a = options()
    if a.threads:
        torch.set_num_threads(a.threads)
    a.out.mkdir(parents=True, exist_ok=True)
    training = Training(a)
    training.refit() if a.halting_only else training.run()


if __name__ == "__main__":
    main()
