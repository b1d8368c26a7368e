"""Writes the measured models as files.

For each model: a checkpoint as training writes it, one refinement step as ONNX, and the inputs of
the step with PyTorch's f32 outputs.

    DIR/A/step_0, all_config.yaml, dataset.json   random weights, the same in every run
    DIR/A/case_b1.safetensors                     inputs: tokens, x (the embedded input), z_h, z_l;
                                                  outputs: out.z_h, out.z_l, out.halting, out.answer
    DIR/A/step_b1.onnx                            all passes unrolled, weights once, fixed batch
    DIR/A/step_b1_int8.onnx                       the same after ONNX Runtime's quantize_dynamic

The step is `Step` of ../gpu-table/torch_step.py, which checks it against this repository's plan.
"""

import logging
import math
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "gpu-table"))
import torch_step  # noqa: E402

PREFIX = "_orig_mod.model.inner."
PAPER = dict(hidden=512, heads=8, inner=1536, layers=2, prefix=16, outer_cycles=3, eps=1e-5)
MODELS = {
    "A": dict(PAPER, positions=97, vocab=11, token_inner=512, inner_cycles=6, rope_theta=0),
    "B": dict(PAPER, positions=916, vocab=6, token_inner=0, inner_cycles=4, rope_theta=10000.0),
    "C": dict(
        PAPER,
        positions=83,
        vocab=11,
        token_inner=256,
        inner_cycles=3,
        rope_theta=0,
        hidden=128,
        heads=2,
        inner=512,
        prefix=2,
        outer_cycles=2,
    ),
}
CELLS = [("A", 1), ("A", 16), ("B", 1), ("C", 1), ("C", 16)]
# Scales the update that each sub-block adds to the state, so that it is small, as after training.
# Otherwise rounding to int8 would change a step so much that no comparison could detect a runtime
# that computes something else.
UPDATE = 0.25
STATES = ("z_h", "z_l", "x")
OUTPUTS = ("out.z_h", "out.z_l", "out.halting", "out.answer")


def step(model, dtype=torch.float32):
    net = torch_step.Step(MODELS[model], dtype, torch.device("cpu")).eval()
    for block in net.blocks:
        for last in {"down", "token_down", "o"} & dict(block.named_parameters()).keys():
            getattr(block, last).data *= UPDATE
    return net


def write(directory, model, batches):
    """Writes the files of a model that do not exist yet. Prints which ONNX files are skipped."""
    directory.mkdir(parents=True, exist_ok=True)
    m, net = MODELS[model], step(model)
    random = torch.Generator().manual_seed(5)
    tokens_to_rows = torch.randn(m["vocab"], m["hidden"], generator=random) / math.sqrt(m["hidden"])
    puzzle = torch.randn(1, m["hidden"], generator=random) * 0.1
    initial = [torch.randn(m["hidden"], generator=random).clamp(-2, 2) for _ in range(2)]
    write_checkpoint(directory, m, net, tokens_to_rows, puzzle, initial)
    cases = {b: case(m, net, b, tokens_to_rows, puzzle, initial) for b in batches}
    for b, tensors in cases.items():
        save_file(tensors, str(directory / f"case_b{b}.safetensors"))
    exported = exportable(net)
    for b, tensors in cases.items():
        path = directory / f"step_b{b}.onnx"
        try:
            if not path.exists():
                write_onnx(exported, [tensors[n] for n in STATES], path)
            if not (int8 := directory / f"step_b{b}_int8.onnx").exists():
                write_int8(path, int8)
        except ImportError as e:
            print(f"skipped: {model} x {b} as ONNX: {e}")


def gflop(model, batch):
    """Returns the GFLOP of a step: 2 x the multiply-adds of all matrix products."""
    return torch_step.count_gflop(MODELS[model]) * batch


def write_checkpoint(directory, m, net, tokens_to_rows, puzzle, initial):
    tensors = {
        "H_init": initial[0],
        "L_init": initial[1],
        "embed_tokens.embedding_weight": tokens_to_rows,
        "puzzle_emb.weights": puzzle,
        "lm_head.weight": net.lm_head,
        "q_head.weight": net.q_head,
        "q_head.bias": net.q_bias,
    }
    for n, block in enumerate(net.blocks):
        named = {"mlp.gate_up_proj": block.gate_up, "mlp.down_proj": block.down}
        if block.mixes:
            named |= {
                "mlp_t.gate_up_proj": block.token_gate_up,
                "mlp_t.down_proj": block.token_down,
            }
        else:
            named |= {"self_attn.qkv_proj": block.qkv, "self_attn.o_proj": block.o}
        tensors |= {f"L_level.layers.{n}.{name}.weight": t for name, t in named.items()}
    torch.save(
        {PREFIX + name: t.detach().clone() for name, t in tensors.items()}, directory / "step_0"
    )
    (directory / "all_config.yaml").write_text(f"""arch:
  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  H_cycles: {m["outer_cycles"]}
  L_cycles: {m["inner_cycles"]}
  H_layers: 0
  L_layers: {m["layers"]}
  hidden_size: {m["hidden"]}
  num_heads: {m["heads"]}
  expansion: 4
  halt_max_steps: 16
  forward_dtype: float32
  puzzle_emb_ndim: {m["hidden"]}
  puzzle_emb_len: {m["prefix"]}
  pos_encodings: {"rope" if m["rope_theta"] else "none"}
  mlp_t: {str(m["token_inner"] > 0).lower()}
  no_ACT_continue: true
""")
    seq_len = m["positions"] - m["prefix"]
    (directory / "dataset.json").write_text(
        f'{{"vocab_size": {m["vocab"]}, "seq_len": {seq_len}, "num_puzzle_identifiers": 1}}\n'
    )


def case(m, net, batch, tokens_to_rows, puzzle, initial):
    random = torch.Generator().manual_seed(1)
    tokens = torch.randint(1, m["vocab"], (batch, m["positions"] - m["prefix"]), generator=random)
    prefix = (
        F.pad(puzzle, (0, (m["prefix"] - 1) * m["hidden"]))
        .view(1, m["prefix"], m["hidden"])
        .expand(batch, -1, -1)
    )
    x = math.sqrt(m["hidden"]) * torch.cat((prefix, F.embedding(tokens, tokens_to_rows)), 1)
    z_h, z_l = (z.expand(x.shape).contiguous() for z in initial)
    with torch.inference_mode():
        out = net(z_h, z_l, x)
    return dict(tokens=tokens, x=x, z_h=z_h, z_l=z_l) | {
        name: t.clone() for name, t in zip(OUTPUTS, out)
    }


def exportable(net):
    """Prepares a model for export: weights are transposed, and RoPE tables are buffers.

    Otherwise the exporter would store a copy of them for each use.
    """
    for p in net.parameters():
        if p.dim() == 2:
            p.data = p.data.t().contiguous()
    for name, table in zip(("cosines", "sines"), net.rope or ()):
        net.register_buffer(name, table)
    return net


def write_onnx(net, args, path):
    import onnx  # noqa: F401  (the exporter needs it)

    def linear(x, weight, bias=None):
        y = torch.matmul(x, weight)
        return y if bias is None else y + bias

    def attention(q, k, v):
        return torch.matmul(
            torch.softmax(torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2)), -1), v
        )

    originals = F.linear, F.scaled_dot_product_attention
    F.linear, F.scaled_dot_product_attention = linear, attention
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                net,
                tuple(args),
                str(path),
                input_names=list(STATES),
                output_names=list(OUTPUTS),
                opset_version=17,
                dynamo=False,
            )
    finally:
        F.linear, F.scaled_dot_product_attention = originals


def write_int8(path, out):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.disable(logging.WARNING)
    quantize_dynamic(
        str(path),
        str(out),
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
    )
    logging.disable(logging.NOTSET)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for model in sys.argv[2].split(","):
        write(root / model, model, [b for m, b in CELLS if m == model])
