"""Tests the models against outputs of the published code, and the files against the published ones.

Run it with `python models/train/test_trm.py`.
"""

import pathlib
import tempfile
from dataclasses import asdict, replace

import torch
from safetensors.torch import load_file, save_file

import fused
import symbols
import train
import trm

GOLDEN = pathlib.Path(__file__).parents[2] / "tests/data/golden"
TOLERANCE = 2e-4  # absolute, on states and logits


@torch.no_grad()
def failures(model: trm.Model, expected: dict[str, torch.Tensor]) -> list[str]:
    """Returns the outputs that differ.

    The first step runs from the initial states, the others from the stored states before them.
    """
    inputs, ids = expected["inputs"], expected["puzzle_identifiers"]
    found = {"input_embedding": model.embed(inputs, ids)}
    states = model.initial(len(inputs), inputs.shape[1])
    for step in range(1, 5):
        after, logits, q_halt, q_continue = model.step(states, inputs, ids)
        outputs = {**after, "logits": logits, "q_halt": q_halt, "q_continue": q_continue}
        found |= {f"step{step}.{name}": value for name, value in outputs.items()}
        states = {name: expected[f"step{step}.{name}"] for name in model.states}
    assert set(found) | {"inputs", "puzzle_identifiers"} == set(expected), set(found) ^ set(
        expected
    )
    assert all(found[name].shape == expected[name].shape for name in found)
    # `not <=`, so that NaN fails.
    return [n for n in found if not (found[n] - expected[n]).abs().max() <= TOLERANCE]


def bugs(model: trm.Model) -> dict:
    """Returns deliberate bugs by name: functions that change a model."""
    c = model.config

    def scale(name: str, by: float):
        def plant(m: trm.Model):
            with torch.no_grad():
                m.get_parameter(name).mul_(by)

        return plant

    def one_head(m: trm.Model):
        m.config.num_heads = 1
        for module in m.modules():
            if isinstance(module, trm.Attention):
                module.heads = 1

    def set_config(**values):
        return lambda m: vars(m.config).update(values)

    level = "L_level" if c.variant != "baseline" else "H_level"
    found = {
        "doubled down_proj": scale(f"{level}.layers.0.mlp.down_proj.weight", 2),
        "q_head": scale("q_head.bias", 1.001),
    }
    if not c.mlp_t:
        found["o_proj"] = scale(f"{level}.layers.0.self_attn.o_proj.weight", 1.01)
        found["one head"] = one_head
    if c.pos_encodings == "rope":
        found["rope_theta"] = set_config(rope_theta=10001.0)
        found["no positions"] = set_config(pos_encodings="none")
    if c.pos_encodings == "learned":
        found["positions"] = scale("embed_pos.embedding_weight", 1.01)
    if c.puzzle_emb_ndim:
        found["puzzle embedding"] = scale("puzzle_emb.weights", 1.01)
    if c.variant != "baseline":
        found["a cycle more"] = set_config(H_cycles=c.H_cycles + 1)
        found["an inner cycle less"] = set_config(L_cycles=c.L_cycles - 1)
    if c.variant == "hrm":
        found["one network for both"] = lambda m: setattr(m, "H_level", m.L_level)
    if c.mlp_t:
        found["token mixer"] = scale("L_level.layers.0.mlp_t.gate_up_proj.weight", 1.01)
    return found


def test_golden():
    for folder in sorted(GOLDEN.iterdir()):
        expected = load_file(folder / "expected.safetensors")
        assert failures(trm.load(folder), expected) == [], folder.name
        assert failures(trm.load(folder).plain_attention(), expected) == [], folder.name
        planted = bugs(trm.load(folder))
        for name, plant in planted.items():
            model = trm.load(folder)
            plant(model)
            assert failures(model, expected), f"{folder.name}: not noticed: {name}"
        print(f"{folder.name}: as published, {len(planted)} planted bugs found")


def test_files():
    """A saved model is the loaded model, with the published names and dtypes."""
    for folder in sorted(GOLDEN.iterdir()):
        published = torch.load(folder / "step_100", weights_only=True)
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            model = trm.load(folder)
            trm.save(model, scratch, 7, {"seed": 3})
            written = torch.load(scratch / "step_7", weights_only=True)
            assert {n: (t.dtype, t.shape) for n, t in written.items()} == {
                n: (t.dtype, t.shape) for n, t in published.items()
            }, folder.name
            assert all(torch.equal(written[n], published[n]) for n in published), folder.name
            again = trm.load(scratch)
            assert asdict(again.config) == asdict(model.config), folder.name
            # model.safetensors in f16, which is not the published precision.
            save_file(
                {n: t.half() for n, t in model.state_dict().items()}, scratch / "model.safetensors"
            )
            half = trm.load(scratch)
            assert all(
                torch.equal(t, model.state_dict()[n].half().float())
                for n, t in half.state_dict().items()
            )
            save_file(
                {n: t.to(torch.int8) for n, t in model.state_dict().items()},
                scratch / "model.safetensors",
            )
            try:
                trm.load(scratch)
            except ValueError as e:
                assert "int8" in str(e)
            else:
                raise AssertionError("int8 was loaded as weights")
    print("files: as published")


def test_gradient():
    """The gradient flows through the last cycle only, as published."""
    for name in ("trm_mlp", "trm_attention", "trm_singlez", "trm_hier6"):
        model, expected = trm.load(GOLDEN / name), load_file(GOLDEN / name / "expected.safetensors")
        inputs, ids = expected["inputs"], expected["puzzle_identifiers"]
        c, states = model.config, model.initial(len(inputs), inputs.shape[1])
        weights = list(model.L_level.parameters())
        got = torch.autograd.grad(model.step(states, inputs, ids)[1].square().sum(), weights)
        cycles = c.H_cycles
        with torch.no_grad():
            c.H_cycles = cycles - 1
            before = model.step(states, inputs, ids)[0]
        c.H_cycles = 1
        want = torch.autograd.grad(model.step(before, inputs, ids)[1].square().sum(), weights)
        assert all(torch.allclose(g, w, rtol=1e-4, atol=1e-5) for g, w in zip(got, want)), name
        # The gradient through two cycles differs.
        states = model.step(states, inputs, ids)[0]
        other = torch.autograd.grad(model.step(states, inputs, ids)[1].square().sum(), weights)
        assert not all(torch.allclose(g, w, rtol=1e-4, atol=1e-5) for g, w in zip(got, other)), name
    print("gradient: through the last cycle")


def permuted(inputs: torch.Tensor, digits: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Renames digit d + 1 to digits[d] + 1 and reorders the cells."""
    return torch.cat((torch.tensor([0, 1]), digits + 2))[inputs[:, cells]]


@torch.no_grad()
def run_steps(model: trm.Model, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    states, ids = model.initial(*inputs.shape), torch.zeros(len(inputs), dtype=torch.long)
    for _ in range(2):
        states, logits, q_halt, _ = model.step(states, inputs, ids)
    return logits, q_halt


def test_symbols():
    """Symmetries permute the answer, messages are sums over units, and files are read back."""
    torch.manual_seed(3)
    side, box = 6, (2, 3)
    config = replace(train.symbol_shape(side, box, "units", 8, 12, 16), halt_max_steps=5)
    inputs = torch.randint(1, side + 2, (3, side**2))
    digits = torch.randperm(side)
    grid = torch.arange(side**2).reshape(side, side)
    moved = grid[[1, 0, 4, 5, 2, 3]][
        :, [3, 5, 4, 0, 1, 2]
    ].flatten()  # rows, bands, columns, stacks
    for mixer in ("units", "cells"):
        model = trm.build(replace(config, mixer=mixer))
        torch.nn.init.normal_(model.q_head.weight)
        logits, q_halt = run_steps(model, inputs)
        assert (
            logits.shape == (3, side**2, side + 2)
            and (logits[..., :2] == symbols.NOT_A_DIGIT).all()
        )
        back = torch.cat((torch.tensor([0, 1]), digits + 2))
        renamed, q = run_steps(model, permuted(inputs, digits, grid.flatten()))
        assert torch.allclose(renamed[..., back], logits, atol=5e-3) and torch.allclose(
            q, q_halt, atol=5e-3
        ), mixer
        other, q = run_steps(model, permuted(inputs, torch.arange(side), moved))
        same = torch.allclose(other, logits[:, moved], atol=5e-3) and torch.allclose(
            q, q_halt, atol=5e-3
        )
        assert same == (mixer == "units"), mixer
        with tempfile.TemporaryDirectory() as scratch:
            trm.save(model, scratch, 4)
            trm.save_weights(model, pathlib.Path(scratch, "averaged"), 4)
            for folder, tolerance in ((scratch, 0), (f"{scratch}/averaged", 1e-2)):
                again = trm.load(folder)
                assert trm.updates_of(folder) == 4
                assert asdict(again.config) | {"box": box} == asdict(model.config), folder
                assert all(
                    (a - b).abs().max() <= tolerance
                    for a, b in zip(again.parameters(), model.parameters())
                )
    # Each message goes to the other cells of the row, the column and the box, and to the other
    # symbols of the cell.
    messages = torch.randn(2, side, side**2, 12)
    found = symbols.sums_of_others(messages, box)
    row, col = grid.flatten() // side, grid.flatten() % side
    unit = row // box[0] * (side // box[1]) + col // box[1]
    for symbol, cell in ((0, 0), (4, 17), (5, 35)):
        for part, of in enumerate((row, col, unit, row + side * unit, col + side * unit)):
            others = (of == of[cell]) & (torch.arange(side**2) != cell)
            expected = messages[:, symbol, others, 2 * part : 2 * part + 2].sum(1)
            assert torch.allclose(
                found[:, symbol, cell, 2 * part : 2 * part + 2], expected, atol=1e-5
            )
        expected = messages[:, :, cell, 10:].sum(1) - messages[:, symbol, cell, 10:]
        assert torch.allclose(found[:, symbol, cell, 10:], expected, atol=1e-5)
    # The same weights fit another size.
    larger = trm.build(replace(config, vocab_size=11, seq_len=81, box=(3, 3)))
    small = trm.build(config)
    larger.load_state_dict(small.state_dict())
    assert run_steps(larger, torch.randint(1, 11, (2, 81)))[0].shape == (2, 81, 11)
    print("symbols: the symmetries of a Sudoku, messages within units, any size")


def test_fused_block():
    """The block in C has the values and gradients of PyTorch, with no larger rounding errors."""
    if fused.library() is None:
        print("fused block: skipped, since it needs a C compiler and AVX-512 BF16")
        return
    for side, box, batch, widths in ((9, (3, 3), 3, (64, 144, 128)), (6, (2, 3), 5, (32, 48, 80))):
        block = symbols.Block(train.symbol_shape(side, box, "units", *widths))
        weights = list(block.parameters())
        torch.nn.init.normal_(weights[0], std=0.4)  # larger gates than at the start of training
        x, grad = torch.randn(2, batch, side, side**2, widths[0]).bfloat16()

        def run(f, dtype: torch.dtype) -> list[torch.Tensor]:
            start = x.to(dtype).requires_grad_()
            out = f(start)
            gradients = torch.autograd.grad(out, [start, *weights], grad.to(dtype))
            return [t.detach().float() for t in (out, *gradients)]

        exact = run(block.plain, torch.float32)
        plain = run(block.plain, torch.bfloat16)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found = run(block, torch.bfloat16)
            for e, p, f in zip(exact, plain, found, strict=True):
                assert not torch.equal(p, f) and (f - e).norm() <= (p - e).norm() < 0.03 * e.norm()
            with torch.no_grad():
                assert torch.equal(block(x).float(), found[0])
        torch.set_num_threads(1)
    print("fused block: values and gradients as in PyTorch")


def test_rotary_positions_of_a_grid():
    """With `rope2d`, scores depend on the distances in rows and columns and nothing else."""
    torch.manual_seed(4)
    shape = train.shape(6, 8, 32, attention=True, heads=2)
    model = trm.build(replace(shape, pos_encodings="rope2d", rope_theta=10.0))
    cos, sin = model.rope(36, torch.device("cpu"))
    q, k = torch.randn(16).expand(36, 16), torch.randn(16).expand(36, 16)
    scores = trm.rotate(q, cos, sin) @ trm.rotate(k, cos, sin).T
    by_distance: dict[tuple, list] = {}
    for m in range(36):
        for n in range(36):
            by_distance.setdefault((m // 6 - n // 6, m % 6 - n % 6), []).append(scores[m, n].item())
    assert all(max(values) - min(values) < 1e-4 for values in by_distance.values())
    assert len({round(values[0], 3) for values in by_distance.values()}) > 100  # of 121
    print("rope2d: scores depend on rows and columns between cells")


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)  # the models are tiny
    test_golden()
    test_files()
    test_gradient()
    test_symbols()
    test_fused_block()
    test_rotary_positions_of_a_grid()
