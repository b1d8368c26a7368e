"""The trainer, on the smallest model: it learns, goes on where it stopped, and does the same for the same seed.

python models/train/test_train.py
"""

import pathlib
import sys
import tempfile

import torch

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
    return train.Training(train.options())


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
        # The file has the averaged weights.
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
        # Only the halting logit of the head changes.
        refitted = training(two, "--from", str(one), "--halting-only", "--fit", "64")
        refitted.refit()
        before, after = trm.load(one).state_dict(), trm.load(two).state_dict()
        changed = [name for name in before if not torch.equal(before[name], after[name])]
        assert changed == ["q_head.weight", "q_head.bias"], changed
        assert torch.equal(before["q_head.weight"][1], after["q_head.weight"][1])
    print("training: learns, resumes, repeats")


def test_strips():
    """Mazes of a few rows, then whole ones with the same weights."""
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch)
        strips = training(out, "--batch", "2", "--updates", "2", "--rows", "3", name="maze-15x15")
        strips.tests = {}  # whole mazes take a while
        strips.run()
        assert strips.slots.inputs.shape == (4, 45) and trm.load(out).config.seq_len == 45
        whole = training(out, "--batch", "2", "--updates", "3", "--resume", name="maze-15x15")
        assert torch.equal(weights(whole.model), weights(strips.model))
        whole.tests = {}
        whole.run()
        assert whole.slots.inputs.shape == (4, 225) and trm.load(out).config.seq_len == 225
    print("mazes: a few rows, then all")


class Count:
    """Puzzles 1, 2, 3, ..: every cell of the n-th says n."""

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
    assert set(many.tolist()) == set(range(16)), "they do not end together"
    slots.steps[:] = 0
    slots.least[:] = torch.tensor([1, 1, 1, 3, 1, 1])
    chosen = torch.tensor([0, 3])
    states = {name: torch.full_like(state[chosen], 7.0) for name, state in slots.states.items()}
    yes, no = torch.tensor([True, True]), torch.tensor([False, False])
    slots.advance(chosen, states, no)
    assert slots.steps.tolist() == [1, 0, 0, 1, 0, 0] and slots.stream.taken == 6
    assert all((z[chosen] == 7).all() and (z[[1, 2, 4, 5]] != 7).all() for z in slots.states.values())
    slots.advance(chosen, states, yes)  # the second is held back until its third step
    assert slots.steps.tolist() == [0, 0, 0, 2, 0, 0]
    assert slots.inputs[:, 0].tolist() == [7, 2, 3, 4, 5, 6]
    fresh = model.initial(1)
    assert all((z[0] == fresh[name][0]).all() and (z[3] == 7).all() for name, z in slots.states.items())
    slots.least[0] = 1
    slots.advance(chosen, states, torch.tensor([False, True]))
    assert slots.steps.tolist() == [1, 0, 0, 0, 0, 0] and slots.inputs[3, 0] == 8
    for _ in range(15):
        slots.advance(chosen, states, no)
    assert slots.inputs[0, 0] == 9, "the last step ends a puzzle"
    print("slots: halting, holding back, the last step")


def test_losses():
    """Padding does not count; a puzzle's cells are averaged before puzzles are."""
    logits = torch.zeros(2, 4, 6)
    logits[0, :, 2] = 50  # right in all cells that count
    labels = torch.tensor([[2, 2, 0, 0], [3, 3, 3, 3]])
    answer, halting = train.losses(logits, labels, torch.tensor([0.0, 0.0]))
    assert train.right(logits, labels).tolist() == [True, False]
    assert torch.isclose(answer, torch.tensor(6.0).log() / 2) and torch.isclose(halting, torch.tensor(2.0).log())
    print("losses: as published")


if __name__ == "__main__":
    torch.set_num_threads(1)
    test_losses()
    test_slots()
    test_run()
    test_strips()
