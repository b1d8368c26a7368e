"""Writes two files of 1.8 GB whose puzzle embedding is that of ARC-AGI-1: DIR/model.safetensors and DIR/step_1.

    python make_arc_sized.py DIR

They are for checking by hand that opening a model and reading one row takes megabytes; they are not kept. Row r of the
embedding is r modulo 1000 everywhere. Needs PyTorch and 2 GB of memory.
"""

import json
import pathlib
import struct
import sys

import torch

ROWS, NDIM, D, V, I = 876_406, 512, 512, 12, 1536


def trunk():
    torch.manual_seed(0)
    state = {
        "H_init": torch.randn(D),
        "L_init": torch.randn(D),
        "embed_tokens.embedding_weight": torch.randn(V, D),
        "lm_head.weight": torch.randn(V, D),
        "q_head.weight": torch.zeros(2, D),
        "q_head.bias": torch.zeros(2),
    }
    for i in range(2):
        block = f"L_level.layers.{i}."
        state[block + "self_attn.qkv_proj.weight"] = torch.randn(3 * D, D)
        state[block + "self_attn.o_proj.weight"] = torch.randn(D, D)
        state[block + "mlp.gate_up_proj.weight"] = torch.randn(2 * I, D)
        state[block + "mlp.down_proj.weight"] = torch.randn(D, I)
    return state


def write_safetensors(path, state):
    header, start = {}, 0
    for name, tensor in state.items():
        end = start + tensor.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in state.values():
            file.write(memoryview(tensor.numpy()).cast("B"))


YAML = """arch:
  H_cycles: 3
  L_cycles: 4
  num_heads: 8
  expansion: 4
  pos_encodings: rope
  puzzle_emb_ndim: 512
  puzzle_emb_len: 16
"""

directory = pathlib.Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
(directory / "all_config.yaml").write_text(YAML)
state = trunk()
state["puzzle_emb.weights"] = (torch.arange(ROWS) % 1000).float()[:, None].expand(ROWS, NDIM).contiguous()
write_safetensors(directory / "model.safetensors", state)
torch.save({"_orig_mod.model.inner." + name: tensor for name, tensor in state.items()}, directory / "step_1")
