"""The model against the outputs that the published code gave, and against itself when saved and loaded.

python models/train/test_trm.py
"""

import pathlib
import tempfile
from dataclasses import asdict

import torch
from safetensors.torch import load_file, save_file

import trm

GOLDEN = pathlib.Path(__file__).parents[2] / "tests/data/golden"
TOLERANCE = 2e-4  # absolute, on states and logits


@torch.no_grad()
def failures(model: trm.Model, expected: dict[str, torch.Tensor]) -> list[str]:
    """What differs: the first step end to end, then every further one from the stored states before it."""
    inputs, ids = expected["inputs"], expected["puzzle_identifiers"]
    found = {"input_embedding": model.embed(inputs, ids)}
    states = model.initial(len(inputs), inputs.shape[1])
    for step in range(1, 5):
        after, logits, q_halt, q_continue = model.step(states, inputs, ids)
        outputs = {**after, "logits": logits, "q_halt": q_halt, "q_continue": q_continue}
        found |= {f"step{step}.{name}": value for name, value in outputs.items()}
        states = {name: expected[f"step{step}.{name}"] for name in model.states}
    assert set(found) | {"inputs", "puzzle_identifiers"} == set(expected), set(found) ^ set(expected)
    assert all(found[name].shape == expected[name].shape for name in found)
    # `not <=`, so that NaN fails.
    return [n for n in found if not (found[n] - expected[n]).abs().max() <= TOLERANCE]


def bugs(model: trm.Model) -> dict:
    """Planted: what each does to the model, by name."""
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
            assert failures(model, expected), f"{folder.name}: nobody notices: {name}"
        print(f"{folder.name}: as published, {len(planted)} planted bugs found")


def test_files():
    """What is saved is what is loaded, and the names and types are the published ones."""
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
            # The same as model.safetensors in f16, which is not the published precision.
            save_file({n: t.half() for n, t in model.state_dict().items()}, scratch / "model.safetensors")
            half = trm.load(scratch)
            assert all(torch.equal(t, model.state_dict()[n].half().float()) for n, t in half.state_dict().items())
            save_file({n: t.to(torch.int8) for n, t in model.state_dict().items()}, scratch / "model.safetensors")
            try:
                trm.load(scratch)
            except ValueError as e:
                assert "int8" in str(e)
            else:
                raise AssertionError("int8 was loaded as if it were weights")
    print("files: as published")


def test_gradient():
    """Only the last cycle is differentiated, as published: earlier ones are constants to the gradient."""
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
        # Planted: a gradient through two cycles is another.
        states = model.step(states, inputs, ids)[0]
        other = torch.autograd.grad(model.step(states, inputs, ids)[1].square().sum(), weights)
        assert not all(torch.allclose(g, w, rtol=1e-4, atol=1e-5) for g, w in zip(got, other)), name
    print("gradient: through the last cycle")


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)  # the models are tiny
    test_golden()
    test_files()
    test_gradient()
