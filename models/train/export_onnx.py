"""Writes one refinement step of a model as ONNX, for `trm-run --model step.onnx`.

    python models/train/export_onnx.py models/sudoku-9x9 step.onnx

Inputs: `inputs` [B, S] int64, `puzzle_identifiers` [B] int64 if the model has a puzzle embedding,
and the states [B, L, D] (`z_H`, `z_L`, ...). With a symbol axis L = K S.

Outputs: `next_z_H`, `next_z_L`, ..., `logits` [B, S, V], `q_halt` [B], `q_continue` [B].

The graph contains all passes of the step one after the other, and each weight once. Its metadata
holds `config`, as in config.json, and the initial rows of the states (`H_init`, `L_init`, ...).
"""

import argparse
import json
import pathlib
import sys
import types
import warnings

import numpy as np
import onnx
import torch
from torch import Tensor, nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import trm

OPSET = 17
MIN_EXTERNAL_BYTES = 256  # smaller tensors always stay in the graph


class Step(nn.Module):
    """A refinement step with the states as separate inputs and outputs, as in a graph."""

    def __init__(self, model: trm.Model, tokens: int, transpose: bool):
        super().__init__()
        self.model = model.plain_attention()
        for module in model.modules():
            if transpose and isinstance(module, trm.Linear):
                # A stored transpose is one tensor. The exporter folds a transpose at every use into
                # a tensor of its own.
                module.register_buffer("transposed", module.weight.detach().t().contiguous())
                module.forward = types.MethodType(lambda self, x: x @ self.transposed, module)
        positions = model.config.prefix_len + tokens
        angles = model.rope(positions, torch.device("cpu"))
        if angles is not None:
            self.cos, self.sin = (nn.Parameter(t, requires_grad=False) for t in angles)
            model.angles[positions, torch.device("cpu")] = self.cos, self.sin

    def forward(self, inputs: Tensor, *others: Tensor):
        model = self.model
        ids, states = (others[0], others[1:]) if model.config.puzzle_emb_ndim else (None, others)
        symbols = model.config.variant == "symbols"
        if symbols:
            fields = model.config.vocab_size - 2
            states = [state.unflatten(1, (fields, -1)) for state in states]
        states, logits, q_halt, q_continue = model.step(
            dict(zip(model.states, states)), inputs, ids
        )
        after = (states[name] for name in model.states)
        if symbols:
            after = (state.flatten(1, 2) for state in after)
        return *after, logits, q_halt, q_continue


def describe(folder: pathlib.Path, config: trm.Config, tokens: int) -> dict:
    """Returns the configuration as in config.json."""
    file = folder / "config.json"
    if file.exists():
        given = json.loads(file.read_text())
        return {k: v for k, v in given.items() if k not in ("dtype", "source")} | {
            "seq_len": tokens
        }
    given = config.known()
    if config.variant in ("hrm", "baseline"):  # have no such option
        given["no_ACT_continue"] = False
    return {"format_version": 1} | given | {"seq_len": tokens}


def tidy(graph: onnx.GraphProto) -> None:
    """Shortens the names of values and removes duplicate constants.

    In a small model, names are most of the file beside the weights.
    """
    kept = {value.name for value in [*graph.input, *graph.output, *graph.initializer]}
    names: dict[str, str] = {"": ""}
    constants: dict[bytes, str] = {}
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        node.name = node.doc_string = ""
        node.input[:] = [names.get(name, name) for name in node.input]
        if node.op_type == "Constant":
            value = b"".join(a.SerializeToString() for a in node.attribute)
            if value in constants:
                names[node.output[0]] = constants[value]
                continue
        for i, name in enumerate(node.output):
            if name not in kept:
                names[name] = node.output[i] = str(len(names))
        if node.op_type == "Constant":
            constants[value] = node.output[0]
        graph.node.append(node)


def make_external(graph: onnx.GraphProto, file: pathlib.Path) -> None:
    """Replaces tensors whose bytes are in `file`, in f32 or f16, by references to the file."""
    whole = file.read_bytes()
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.raw_data) < MIN_EXTERNAL_BYTES:
            continue
        stored = tensor.raw_data
        at = whole.find(stored)
        if at < 0:
            numbers = np.frombuffer(stored, "<f4")
            half = numbers.astype("<f2")
            stored = half.tobytes()
            at = (
                whole.find(stored) if (half == numbers).all() else -1
            )  # otherwise they belong to another model
            if at < 0:
                continue
            casts.append(
                onnx.helper.make_node(
                    "Cast", [f"half_{tensor.name}"], [tensor.name], to=tensor.data_type
                )
            )
            tensor.name, tensor.data_type = casts[-1].input[0], onnx.TensorProto.FLOAT16
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": file.name, "offset": at, "length": len(stored)}.items():
            tensor.external_data.add(key=key, value=str(value))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def export(
    folder: pathlib.Path,
    file: pathlib.Path,
    batch: int | None = None,
    tokens: int | None = None,
    weights: pathlib.Path | None = None,
) -> None:
    """Writes the refinement step of the model in `folder`.

    `tokens` is S. Default: seq_len. `batch` is the number of puzzles. Default: any. The graph
    refers to tensors in `weights`, a file of f32 or f16 that must lie beside the graph.
    """
    model = trm.load(folder).eval()
    c = model.config
    tokens = tokens or c.seq_len
    if tokens is None:
        raise SystemExit(f"{folder}: the model fits puzzles of any size. Give one with --tokens")
    rows = batch or 2
    arguments = [torch.zeros(rows, tokens, dtype=torch.int64)]
    names = ["inputs"]
    if c.puzzle_emb_ndim:
        arguments.append(torch.zeros(rows, dtype=torch.int64))
        names.append("puzzle_identifiers")
    initial = model.initial(rows, tokens).values()
    # The fields of a symbol axis [B, K, S, D] follow each other in a graph: L = K S.
    arguments += [state.reshape(rows, -1, c.hidden_size).contiguous() for state in initial]
    names += model.states
    outputs = [f"next_{name}" for name in model.states] + ["logits", "q_halt", "q_continue"]
    metadata = {
        name: json.dumps(row.tolist())
        for name, row in model.named_buffers()
        if name.endswith("_init")
    }
    metadata["config"] = json.dumps(describe(folder, c, tokens))
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes that become constants on purpose
        torch.onnx.export(
            Step(model, tokens, weights is None), tuple(arguments), str(file), dynamo=False,
            opset_version=OPSET, input_names=names, output_names=outputs,
            do_constant_folding=weights is None,
            dynamic_axes=None if batch else {name: {0: "batch"} for name in names + outputs},
        )  # fmt: skip
    proto = onnx.load(str(file))
    tidy(proto.graph)
    onnx.checker.check_model(proto)
    if weights is not None:
        make_external(proto.graph, weights)
    onnx.helper.set_model_props(proto, metadata)
    file.write_bytes(proto.SerializeToString())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder",
        type=pathlib.Path,
        help="step_N with all_config.yaml, or model.safetensors with config.json",
    )
    parser.add_argument("file", type=pathlib.Path, help="the ONNX file to write")
    parser.add_argument("--batch", type=int, help="puzzles per step (default: any number)")
    parser.add_argument(
        "--tokens", type=int, help="tokens of a puzzle (default: seq_len of the model)"
    )
    parser.add_argument(
        "--weights",
        type=pathlib.Path,
        help="refer to the weights in this file (f32 or f16), which must lie beside the graph",
    )
    given = parser.parse_args()
    export(given.folder, given.file, given.batch, given.tokens, given.weights)
