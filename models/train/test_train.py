"""Tests the trainer on the smallest model: it learns, resumes, and is repeatable for a seed.

Run it with `python models/train/test_train.py`.
"""

import os
import pathlib
import signal
import sys
import tempfile
from dataclasses import replace

import torch

import data
import neighbours
import train
import trm


def training(out: pathlib.Path, *more: str, name: str = "sudoku-4x4") -> train.Training:
    sys.argv = [
        "train.py",
        name,
        "--out",
        str(out),
        "--batch",
        "16",
        "--slots",
        "2",
        "--warm",
        "5",
        "--evaluate",
        "8",
        *more,
    ]
    return train.Training(train.parse_args())


def weights(model: trm.Model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_run():
    with tempfile.TemporaryDirectory() as scratch:
        one, two = pathlib.Path(scratch, "one"), pathlib.Path(scratch, "two")
        first = training(one, "--updates", "60")
        start = weights(first.model)
        losses = []
        update = first.update
        first.update = lambda *args: losses.append(update(*args)) or losses[-1]
        first.run()
        assert len(losses) == 60
        mean = lambda part: sum(answer for answer, *_ in part) / len(part)
        assert mean(losses[-10:]) < 0.85 * mean(losses[:10])
        # The file contains the averaged weights.
        assert trm.latest(one) == 60
        assert torch.equal(weights(trm.load(one)), weights(first.ema))
        assert not torch.allclose(weights(first.ema), weights(first.model)) and not torch.allclose(
            weights(first.ema), start
        )
        again = training(two, "--updates", "60")
        again.run()
        assert torch.equal(weights(again.model), weights(first.model))
        other = training(two, "--updates", "60", "--seed", "1")
        assert not torch.equal(weights(other.model), start)
        further = training(one, "--updates", "62", "--resume")
        assert further.step == 60 and torch.equal(weights(further.model), weights(first.model))
        assert torch.equal(weights(further.ema), weights(first.ema))
        moments = lambda t: [s["exp_avg"] for s in t.optimizer.state_dict()["state"].values()]
        assert all(torch.equal(a, b) for a, b in zip(moments(further), moments(first)))
        further.run()
        assert trm.latest(one) == 62
        # Fitting changes the halting logit and nothing else.
        refitted = training(two, "--from", str(one), "--halting-only", "--fit", "64")
        refitted.refit()
        before, after = trm.load(one).state_dict(), trm.load(two).state_dict()
        changed = [name for name in before if not torch.equal(before[name], after[name])]
        assert changed == ["q_head.weight", "q_head.bias"], changed
        assert torch.equal(before["q_head.weight"][1], after["q_head.weight"][1])
    print("training: learns, resumes, repeats")


def test_parts():
    """A state in parts is the state, and an incomplete set of parts is not used."""
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch, "resume.pt")
        states = [{"step": step, "numbers": torch.randn(3000)} for step in (7, 9)]
        kib = 2**-10
        cpu = torch.device("cpu")
        train.write_state(states[0], path, 5 * kib)
        parts = sorted(pathlib.Path(scratch).iterdir())
        assert len(parts) > 2 and all(part.stat().st_size <= 5 * 1024 for part in parts)
        kept = {part: part.read_bytes() for part in parts}
        train.write_state(states[1], path, 5 * kib)
        assert not any(part.exists() for part in parts), "older parts stay"
        assert torch.equal(train.read_state(path, cpu)["numbers"], states[1]["numbers"])
        for part, content in kept.items():
            part.write_bytes(content)
        next(iter(pathlib.Path(scratch).glob("resume.pt.9.1.*"))).unlink()
        assert torch.equal(train.read_state(path, cpu)["numbers"], states[0]["numbers"])
        parts[0].unlink()
        try:
            train.read_state(path, cpu)
        except FileNotFoundError:
            pass
        else:
            raise AssertionError("an incomplete set was read")
        train.write_state(states[0], path)
        assert torch.equal(train.read_state(path, cpu)["numbers"], states[0]["numbers"])
    print("parts: complete sets only")


def test_endless():
    """An endless run saves at SIGTERM, and continues from its state or from its averaged weights."""
    settings = ("--set", "hidden_size=8", "mixer_inner=18", "mlp_inner=8", "--slots", "1")
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch)
        run = training(out, "--endless", "--batch", "2", *settings, name="sudoku-9x9-symbols")
        update, rates = run.update, []

        def stop_after_eight(chosen: torch.Tensor, rate: float) -> tuple[float, float, float]:
            rates.append(rate)
            if len(rates) == 8:
                os.kill(os.getpid(), signal.SIGTERM)
            return update(chosen, rate)

        run.update = stop_after_eight
        run.run()
        assert run.step == 8 and rates[4:] == [1.0] * 4, rates  # 5 updates of warm-up
        assert (run.model.config.H_cycles, run.model.config.L_cycles) == (1, 1)
        assert trm.load(out).config.L_cycles == 3
        again = training(out, "--endless", *settings, "--resume", name="sudoku-9x9-symbols")
        assert again.step == 8 and torch.equal(weights(again.ema), weights(run.ema))
        start = ("--from", str(out / "averaged"))
        further = training(out, "--updates", "9", *start, name="sudoku-9x9-symbols")
        assert further.step == 8
        assert torch.equal(weights(further.model), weights(run.ema).half().float())
    print("endless runs: SIGTERM saves, and training continues")


def test_stages():
    """A run has 1/3 of the passes, then 2/3, then all. The saved model has all."""
    with tempfile.TemporaryDirectory() as scratch:
        for option, expected in (
            ("--stages", [(1, 1)] * 3 + [(2, 2)] * 3 + [(2, 3)] * 4),
            ("--no-stages", [(2, 3)] * 10),
        ):
            run = training(pathlib.Path(scratch), "--updates", "10", option)
            seen, step = [], run.model.step
            run.model.step = lambda *args: (
                seen.append((run.model.config.H_cycles, run.model.config.L_cycles)) or step(*args)
            )
            run.run()
            assert seen == expected, (option, seen)
            saved = trm.load(scratch).config
            assert (saved.H_cycles, saved.L_cycles) == (2, 3)
        run = training(pathlib.Path(scratch), "--updates", "2", "--stages", "--cycles", "1", "4")
        run.run()
        assert (run.model.config.H_cycles, run.model.config.L_cycles) == (1, 4)
        assert trm.load(scratch).config == saved
    paper = replace(train.RECIPES["sudoku-9x9"].config, H_cycles=3, L_cycles=6)
    assert [train.stage_cycles(share, paper) for share in (0, 0.3, 0.6)] == [(1, 2), (2, 4), (3, 6)]
    print("stages: the passes increase, and the file has all of them")


def attended(model: trm.Model, columns: int) -> list[list[int]]:
    """Returns how many tokens away each head attends from each inner cell of a maze, per block."""
    seen = []
    hook = lambda attention, inputs, _: seen.append((attention, inputs[0]))
    hooks = [block.self_attn.register_forward_hook(hook) for block in model.L_level.layers]
    maze = torch.from_numpy(data.Maze(columns).generate(1, 5, 4)[0]).long()
    model.step(model.initial(1), maze, torch.zeros(1, dtype=torch.long))
    for hook in hooks:
        hook.remove()
    found = []
    for attention, x in seen[:2]:
        width, heads = attention.width, attention.heads
        rope = model.rope(x.shape[1], x.device)
        q, k, _ = (
            t.reshape(-1, heads, width // heads).transpose(0, 1)
            for t in attention.qkv_proj(x)[0].split(width, -1)
        )
        scores = trm.rotate(q, *rope) @ trm.rotate(k, *rope).transpose(1, 2)
        inner = range(2 + columns, scores.shape[1] - columns)
        found.append([[int(head[at].argmax()) - at for at in inner] for head in scores])
    return found


def test_neighbours():
    """Heads of an untrained model look at the four neighbours, also after a change of the grid."""
    torch.manual_seed(0)
    recipe = train.RECIPES["maze-15x15"]
    model = trm.Model(replace(recipe.config, seq_len=64))
    right_of = lambda columns: [
        [
            sum(off == at for at in head) / len(head)
            for off, head in zip(neighbours.offsets(columns), block)
        ]
        for block in attended(model, columns)
    ]
    by_chance = max(share for block in right_of(8) for share in block)
    neighbours.initialize(model, 8)

    def look(columns: int) -> bool:
        first, second = right_of(columns)  # the inputs of the second block have more noise
        return sum(first) / 4 > 0.7 and min(first + second) > by_chance + 0.1

    assert by_chance < 0.15 and look(8), (by_chance, right_of(8))
    before = weights(model)
    model.config.seq_len = 256
    assert not look(16)
    neighbours.resize(model, 8, 16)
    assert look(16), (by_chance, right_of(16))
    neighbours.resize(model, 16, 8)
    assert torch.allclose(weights(model), before, atol=1e-5)
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch)
        small = training(out, "--batch", "2", "--updates", "2", "--side", "6", name="maze-15x15")
        small.run()
        assert small.slots.inputs.shape == (4, 36) and trm.load(out).config.seq_len == 36
        whole = training(out, "--batch", "2", "--updates", "3", "--resume", name="maze-15x15")
        for was, now in ((small.model, whole.model), (small.ema, whole.ema)):
            neighbours.resize(was, 6, 16)
            assert torch.equal(weights(was), weights(now))
        whole.tests = {}  # they take long
        whole.run()
        assert whole.slots.inputs.shape == (4, 256) and trm.load(out).config.seq_len == 256
        again = training(
            out,
            "--batch",
            "2",
            "--updates",
            "3",
            "--from",
            str(out),
            "--side",
            "6",
            name="maze-15x15",
        )
        assert again.ema.config.seq_len == again.model.config.seq_len == 36
    print("mazes: heads look at neighbours, in small grids and then in large ones")


class Count:
    """A stream of puzzles 1, 2, 3, ... whose cells all hold the number of the puzzle."""

    taken = 0

    def take(self, count: int):
        self.taken += count
        numbers = torch.arange(self.taken - count + 1, self.taken + 1).numpy()
        return (numbers[:, None].repeat(16, 1),) * 2 + (numbers * 0,)


def test_slots():
    torch.manual_seed(0)
    model = trm.Model(train.RECIPES["sudoku-4x4"].config)
    slots = train.Slots(model, Count(), 6, torch.Generator().manual_seed(0))
    many = train.Slots(model, Count(), 200, torch.Generator().manual_seed(0)).steps
    assert set(many.tolist()) == set(range(16)), "puzzles do not end in the same update"
    slots.steps[:] = 0
    slots.least[:] = torch.tensor([1, 1, 1, 3, 1, 1])
    chosen = torch.tensor([0, 3])
    states = {name: torch.full_like(state[chosen], 7.0) for name, state in slots.states.items()}
    yes, no = torch.tensor([True, True]), torch.tensor([False, False])
    slots.advance(chosen, states, no)
    assert slots.steps.tolist() == [1, 0, 0, 1, 0, 0] and slots.stream.taken == 6
    assert all(
        (z[chosen] == 7).all() and (z[[1, 2, 4, 5]] != 7).all() for z in slots.states.values()
    )
    slots.advance(chosen, states, yes)  # the second puzzle does not halt before its third step
    assert slots.steps.tolist() == [0, 0, 0, 2, 0, 0]
    assert slots.inputs[:, 0].tolist() == [7, 2, 3, 4, 5, 6]
    fresh = model.initial(1)
    assert all(
        (z[0] == fresh[name][0]).all() and (z[3] == 7).all() for name, z in slots.states.items()
    )
    slots.least[0] = 1
    slots.advance(chosen, states, torch.tensor([False, True]))
    assert slots.steps.tolist() == [1, 0, 0, 0, 0, 0] and slots.inputs[3, 0] == 8
    for _ in range(15):
        slots.advance(chosen, states, no)
    assert slots.inputs[0, 0] == 9, "the last step ends a puzzle"
    # Noise differs from puzzle to puzzle, at first and when a slot takes a new puzzle.
    noisy = train.Slots(model, Count(), 2, torch.Generator().manual_seed(0), noise=0.5)
    for _ in range(2):
        noise = [z - fresh[name].expand_as(z) for name, z in noisy.states.items()]
        assert all(0.4 < part.std() < 0.6 and part.mean().abs() < 0.05 for part in noise)
        assert not torch.equal(noise[0][0], noise[0][1])
        noisy.steps[:] = 15
        noisy.advance(torch.arange(2), model.initial(2), no)
    print("slots: halting, fewest steps, the last step, noise")


def test_losses():
    """Padding does not count. Cells are averaged per puzzle, then puzzles are averaged."""
    logits = torch.zeros(2, 4, 6)
    logits[0, :, 2] = 50  # right in all cells that count
    labels = torch.tensor([[2, 2, 0, 0], [3, 3, 3, 3]])
    answer, halting = train.losses(logits, labels, torch.tensor([0.0, 0.0]))
    assert train.is_solved(logits, labels).tolist() == [True, False]
    assert torch.isclose(answer, torch.tensor(6.0).log() / 2) and torch.isclose(
        halting, torch.tensor(2.0).log()
    )
    print("losses: as published")


if __name__ == "__main__":
    torch.set_num_threads(1)
    test_losses()
    test_slots()
    test_run()
    test_parts()
    test_endless()
    test_stages()
    test_neighbours()
