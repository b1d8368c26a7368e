"""Writes the graphs of this folder, or of the folder that is named: each golden case and bundled models, exported from PyTorch. The weights stay in
the checkpoints, which the tests copy beside the graphs.

    python tests/data/onnx/make.py [FOLDER]
"""
import pathlib
import sys

import onnx
from safetensors import safe_open

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "models/train"))
import export_onnx  # noqa: E402

MODELS = ["sudoku-4x4", "sudoku-6x6", "sudoku-9x9", "maze-10x10"]
# A graph with a fixed batch, which the number of puzzles of its case is no multiple of.
BATCHES = {"trm_mlp": 2}


def unknown() -> onnx.ModelProto:
    """A step that is none of the published ones, with open axes: z_L becomes half of z_L plus the token's row, and z_L read by a matrix is the logits."""
    make, kinds = onnx.helper, onnx.TensorProto
    rows = make.make_tensor("rows", kinds.FLOAT, [6, 4], [float(i) for i in range(24)])
    read = make.make_tensor("read", kinds.FLOAT, [4, 6], [float(i % 5) - 2 for i in range(24)])
    half = make.make_tensor("half", kinds.FLOAT, [], [0.5])
    nodes = [
        make.make_node("Gather", ["rows", "inputs"], ["x"]),
        make.make_node("Mul", ["z_L", "half"], ["halved"]),
        make.make_node("Add", ["halved", "x"], ["next_z_L"]),
        make.make_node("MatMul", ["next_z_L", "read"], ["logits"]),
        make.make_node("ReduceMean", ["next_z_L"], ["mean"], axes=[2], keepdims=0),
        make.make_node("ReduceMax", ["mean"], ["q_halt"], axes=[1], keepdims=1),
    ]
    value = make.make_tensor_value_info
    state = [value(name, kinds.FLOAT, ["batch", "tokens", 4]) for name in ("z_L", "next_z_L")]
    inputs = [value("inputs", kinds.INT32, ["batch", "tokens"]), state[0]]
    outputs = [value("q_halt", kinds.FLOAT, ["batch", 1]), state[1], value("logits", kinds.FLOAT, ["batch", "tokens", 6])]
    graph = make.make_graph(nodes, "unknown", inputs, outputs, [rows, read, half])
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


def weights(folder: pathlib.Path) -> pathlib.Path:
    return next(iter(sorted(folder.glob("step_*")) + sorted(folder.glob("*model.safetensors"))))


def main(out: pathlib.Path) -> None:
    onnx.save(unknown(), out / "unknown.onnx")
    for folder in sorted((ROOT / "tests/data/golden").iterdir()):
        with safe_open(folder / "expected.safetensors", "np") as expected:
            tokens = expected.get_slice("inputs").get_shape()[1]
        export_onnx.export(folder, out / f"{folder.name}.onnx", BATCHES.get(folder.name), tokens, weights(folder))
    for name in MODELS:
        folder = ROOT / "models" / name
        export_onnx.export(folder, out / f"{name}.onnx", weights=weights(folder))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
