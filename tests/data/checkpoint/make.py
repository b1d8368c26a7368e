"""Makes the files of this directory: checkpoints as training and its relatives write them, as small as can be.

    python make.py

Made with PyTorch 2.15. The model is a TRM with attention: D 4, 2 heads, V 6, one block of inner width 4, a puzzle
embedding of 3 rows of 6 in 2 positions. Element i of a tensor is ((sum of its name's bytes + 7 i) mod 17 - 8) / 8,
which every float type holds exactly; averaged weights (`ema`) have 1 added.
"""

import argparse
import collections
import pathlib
import sys
import types

import torch

HERE = pathlib.Path(__file__).parent
PUBLISHED = "_orig_mod.model.inner."
SHAPES = {
    "H_init": (4,),
    "L_init": (4,),
    "embed_tokens.embedding_weight": (6, 4),
    "lm_head.weight": (6, 4),
    "q_head.weight": (2, 4),
    "q_head.bias": (2,),
    "puzzle_emb.weights": (3, 6),
    "L_level.layers.0.self_attn.qkv_proj.weight": (12, 4),
    "L_level.layers.0.self_attn.o_proj.weight": (4, 4),
    "L_level.layers.0.mlp.gate_up_proj.weight": (8, 4),
    "L_level.layers.0.mlp.down_proj.weight": (4, 4),
}
YAML = """arch:
  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  loss:
    name: losses@ACTLossHead
    loss_type: stablemax_cross_entropy
  H_cycles: 3
  L_cycles: 4
  H_layers: 0
  L_layers: 1
  hidden_size: 4
  num_heads: 2
  halt_max_steps: 16
  halt_exploration_prob: 0.1
  forward_dtype: bfloat16
  puzzle_emb_ndim: 6
  pos_encodings: rope
  puzzle_emb_len: 2
  mlp_t: false
  no_ACT_continue: true
data_paths:
- data/example
lr: 1.0e-04
ema: true
seed: 0
"""


def values(name, shape):
    count = torch.Size(shape).numel()
    start = sum(name.encode())
    return ((torch.arange(count) * 7 + start) % 17 - 8).float().div(8).reshape(shape)


def state(prefix="", dtype=None, add=0.0):
    """A state dict as training writes it: f32, the initial states bf16."""
    result = collections.OrderedDict()
    for name, shape in SHAPES.items():
        default = torch.bfloat16 if name.endswith("_init") else torch.float32
        result[prefix + name] = (values(name, shape) + add).to(dtype or default)
    return result


def save(path, what, **options):
    path = HERE / path
    path.parent.mkdir(exist_ok=True)
    torch.save(what, path, **options)


class Model(torch.nn.Module):
    """A module whose state dict has `_metadata`, and which can be pickled whole."""

    def __init__(self):
        super().__init__()
        self.lm_head = torch.nn.Linear(4, 6, bias=False)

    def forward(self, x):
        return self.lm_head(x)


def training_folder():
    save("training/step_9", state(PUBLISHED, add=0.5))
    save("training/step_100", state(PUBLISHED))
    (HERE / "training/all_config.yaml").write_text(YAML)
    (HERE / "training/dataset.json").write_text(
        '{"pad_id": 0, "vocab_size": 6, "seq_len": 16, "num_puzzle_identifiers": 3, "sets": ["all"]}\n'
    )
    (HERE / "training/step_100_all_preds.0").write_text("not a checkpoint\n")


def prefixes():
    for i, prefix in enumerate(["", "inner.", "model.inner.", "module.", "module._orig_mod.model.inner."]):
        save(f"wild/prefix_{i}.pt", state(prefix))
    save("wild/nested_model.pth", {"model": state("module."), "step": 7})
    save("wild/nested_state_dict.ckpt", {"epoch": 1, "state_dict": state("model."), "lr": [0.1, 0.2]})
    save("wild/checkpoint", {"checkpoint": {"model_state_dict": state()}})


def objects():
    # A class that exists nowhere else: reading the file must not need it.
    module = types.ModuleType("private_lab.config")
    module.Settings = type("Settings", (), {"__module__": "private_lab.config"})
    sys.modules["private_lab"] = types.ModuleType("private_lab")
    sys.modules["private_lab.config"] = module
    settings = module.Settings()
    settings.lr, settings.tensor = 0.1, torch.zeros(3)
    args = argparse.Namespace(data=pathlib.PurePosixPath("data"), seed=0)
    save("wild/config_object.bin", {"config": settings, "args": args, "model": state(), "seen": {1, 2}})
    save("wild/only_object.pt", settings)
    weight = torch.nn.Parameter(torch.zeros(4, 4))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    save("wild/resume.pt", {"model": state(), "ema": state(add=1), "opt": optimizer.state_dict(), "step": 7})
    averaged = {name: tensor for name, tensor in state(add=1).items() if not name.endswith("_init")}
    del averaged["puzzle_emb.weights"]
    save("wild/ema_parameters.pt", {"model": state(PUBLISHED), "ema": averaged})
    averaged.popitem()
    save("wild/ema_incomplete.pt", {"model": state(), "ema": averaged})
    save("wild/two_models.pt", {"model": state(), "module": state()})
    parameters = state()
    for name in list(parameters):
        parameters[name] = torch.nn.Parameter(parameters[name])
    parameters._metadata = Model().state_dict()._metadata
    save("wild/parameters.pt", parameters)
    save("wild/whole_model.pt", Model())
    torch.jit.script(Model()).save(str(HERE / "wild/torchscript.pt"))


def encodings():
    for name, dtype in [("f64", torch.float64), ("f16", torch.float16), ("bf16", torch.bfloat16)]:
        save(f"wild/{name}.pt", state(dtype=dtype))
    integers = state()
    kinds = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
    for i, kind in enumerate(kinds):
        integers[f"extra.{i}"] = torch.tensor([0, 1, 1]).to(kind)
    integers["extra.negative"] = torch.tensor([-3, 2], dtype=torch.int16)
    integers["extra.complex"] = torch.zeros(2, dtype=torch.complex64)
    integers["extra.float8"] = torch.zeros(2).to(torch.float8_e4m3fn)
    save("wild/integers.pt", integers)
    for protocol in [3, 4, 5]:
        save(f"wild/protocol_{protocol}.pt", state(), pickle_protocol=protocol)
    save("wild/legacy.pt", state(), _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    save("wild/no_checksums.pt", state())
    torch.serialization.set_crc32_options(True)


def strided():
    result = state()
    # All of one shape in one storage, one behind the other.
    shared = torch.cat([result["embed_tokens.embedding_weight"], result["lm_head.weight"]])
    result["embed_tokens.embedding_weight"], result["lm_head.weight"] = shared[:6], shared[6:]
    for name in ["qkv_proj", "o_proj"]:
        name = f"L_level.layers.0.self_attn.{name}.weight"
        result[name] = result[name].t().contiguous().t()
    name = "L_level.layers.0.mlp.gate_up_proj.weight"
    wide = torch.full((16, 9), 7.0)
    wide[::2, 1::2] = result[name]
    result[name] = wide[::2, 1::2]
    result["puzzle_emb.weights"] = result["puzzle_emb.weights"].t().contiguous().t()
    result["extra.expanded"] = torch.tensor([[1.0], [2.0]]).expand(2, 5)
    result["extra.scalar"] = torch.tensor(3.0)
    result["extra.empty"] = torch.zeros(0, 4)
    save("wild/strided.pt", result)


training_folder()
prefixes()
objects()
encodings()
strided()
