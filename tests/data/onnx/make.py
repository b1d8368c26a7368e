"""Writes the graphs of this folder, or of the folder that is named: each golden case and each bundled model, exported from PyTorch. The weights stay in
the checkpoints, which the tests copy beside the graphs.

    python tests/data/onnx/make.py [FOLDER]
"""
import pathlib
import sys

from safetensors import safe_open

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "models/train"))
import export_onnx  # noqa: E402

# A graph with a fixed batch, which the number of puzzles of its case is no multiple of.
BATCHES = {"trm_mlp": 2}


def weights(folder: pathlib.Path) -> pathlib.Path:
    return next(iter(sorted(folder.glob("step_*")) + sorted(folder.glob("*model.safetensors"))))


def main(out: pathlib.Path) -> None:
    for folder in sorted((ROOT / "tests/data/golden").iterdir()):
        with safe_open(folder / "expected.safetensors", "np") as expected:
            tokens = expected.get_slice("inputs").get_shape()[1]
        export_onnx.export(folder, out / f"{folder.name}.onnx", BATCHES.get(folder.name), tokens, weights(folder))
    for folder in sorted(p.parent for p in (ROOT / "models").glob("*/config.json")):
        tokens = 100 if folder.name == "maze-10x10" else None
        export_onnx.export(folder, out / f"{folder.name}.onnx", tokens=tokens, weights=weights(folder))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
