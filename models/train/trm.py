"""Tiny Recursive Models in PyTorch: the refinement steps of published variants, and model files.

Shapes: B batch, S grid tokens, P prefix positions of the puzzle embedding, L = P + S, D hidden
size, V vocabulary. Parameters have the names of the published state dict. A file `step_N` adds the
prefix `_orig_mod.model.inner.` to them. The formulas come from "Less is More: Recursive Reasoning
with Tiny Networks" (arXiv 2510.04871), those of HRM from arXiv 2506.21734.
"""

import json
import math
import pathlib
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

PREFIX = "_orig_mod.model.inner."
LOWER_STATES = [f"L{i}" for i in range(1, 7)]  # of the variant hier6
# `arch.name` in all_config.yaml.
NAMES = {
    "trm": "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1",
    "singlez": "recursive_reasoning.trm_singlez@TinyRecursiveReasoningModel_ACTV1",
    "hier6": "recursive_reasoning.trm_hier6@TinyRecursiveReasoningModel_ACTV1",
    "hrm": "recursive_reasoning.hrm@HierarchicalReasoningModel_ACTV1",
    "baseline": "recursive_reasoning.transformers_baseline@Model_ACTV2",
    "symbols": "symbols@SymbolModel",  # not published: see symbols.py
}
SYMBOL_KEYS = ("mixer", "mixer_inner", "mlp_inner", "box")  # hyper-parameters of `symbols` alone


@dataclass
class Config:
    """The hyper-parameters of a model, with their names in all_config.yaml."""

    variant: str  # a key of NAMES
    vocab_size: int
    H_cycles: int
    L_cycles: int
    hidden_size: int
    H_layers: int = 0
    L_layers: int = 2
    num_heads: int = 1
    expansion: float = 4.0
    mlp_t: bool = False
    pos_encodings: str = "rope"  # rope, rope2d, learned or none
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    puzzle_emb_ndim: int = 0
    puzzle_emb_len: int = 0
    num_puzzle_identifiers: int = 1
    seq_len: int | None = None  # S, if the files tell it
    halt_max_steps: int = 16
    no_ACT_continue: bool = True
    forward_dtype: str = "bfloat16"
    # SYMBOL_KEYS.
    mixer: str = "units"  # units or cells
    mixer_inner: int = 0
    mlp_inner: int = 0
    box: tuple[int, int] | None = None  # rows and columns of a Sudoku's box

    @property
    def prefix_len(self) -> int:
        """Returns P."""
        return self.puzzle_emb_len or -(-self.puzzle_emb_ndim // self.hidden_size)

    @property
    def states(self) -> list[str]:
        """Returns the names of the carried states. The heads read the first one."""
        lower = {"trm": ["L"], "symbols": ["L"], "hrm": ["L"], "hier6": LOWER_STATES}.get(
            self.variant, []
        )
        return [f"z_{s}" for s in (["L"] if self.variant == "singlez" else ["H", *lower])]

    def known(self) -> dict:
        """Returns the hyper-parameters that the variant has."""
        unknown = {"variant"} if self.variant == "symbols" else {"variant", *SYMBOL_KEYS}
        return {name: value for name, value in vars(self).items() if name not in unknown}


def inner_width(width: int, expansion: float) -> int:
    """Returns the inner width of a SwiGLU: 2/3 of the expanded width, rounded up to 256s."""
    return -(-round(expansion * width * 2 / 3) // 256) * 256


def truncated_normal(*shape: int, std: float) -> Tensor:
    """Returns normal numbers cut off at two deviations, scaled so that their deviation is `std`."""
    std_after_cut = 0.879626
    return nn.init.trunc_normal_(torch.empty(shape), a=-2, b=2) * (std / std_after_cut)


def rms_norm(x: Tensor, eps: float) -> Tensor:
    """Applies RMSNorm without weights along the last axis, in float32."""
    f = x.float()
    return (f * torch.rsqrt(f.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


class Linear(nn.Module):
    """Maps [.., fan_in] to [.., fan_out], in the dtype of the input."""

    def __init__(self, fan_in: int, fan_out: int):
        super().__init__()
        self.weight = nn.Parameter(truncated_normal(fan_out, fan_in, std=fan_in**-0.5))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class HaltingHead(nn.Module):
    """Maps [B, D] to the logits of halting and continuing, [B, 2]. Both start improbable."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, width))
        self.bias = nn.Parameter(torch.full((2,), -5.0))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class Embedding(nn.Module):
    """An embedding table. `name` is its name in the published state dict."""

    def __init__(self, rows: int, width: int, std: float, name: str = "embedding_weight"):
        super().__init__()
        self.name = name
        self.register_parameter(name, nn.Parameter(truncated_normal(rows, width, std=std)))

    def table(self, dtype: torch.dtype) -> Tensor:
        return getattr(self, self.name).to(dtype)


class SwiGLU(nn.Module):
    def __init__(self, width: int, expansion: float):
        super().__init__()
        self.inner = inner_width(width, expansion)
        self.gate_up_proj = Linear(width, 2 * self.inner)
        self.down_proj = Linear(self.inner, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).split(self.inner, -1)
        return self.down_proj(F.silu(gate) * up)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates the pairs (i, i + half) of the last axis by the angles of their positions."""
    x = x.float()
    low, high = x.split(cos.shape[1] // 2, -1)
    return x * cos + torch.cat((-high, low), -1) * sin


class Attention(nn.Module):
    plain = False  # True: written as matmul, softmax, matmul, for export

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.width, self.heads = width, heads
        self.qkv_proj = Linear(width, 3 * width)
        self.o_proj = Linear(width, width)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor] | None) -> Tensor:
        # Sizes are integers and not shapes, so that an exported graph does not compute them.
        length, width, size = int(x.shape[1]), self.width, self.width // self.heads
        q, k, v = (
            part.reshape(-1, length, self.heads, size).transpose(1, 2)
            for part in self.qkv_proj(x).split(width, -1)
        )  # [B, heads, L, head size] each
        if rope is not None:
            q, k = (rotate(t, *rope).to(x.dtype) for t in (q, k))
        if self.plain:
            out = torch.softmax(q @ k.transpose(-1, -2) * size**-0.5, -1) @ v
        else:
            out = F.scaled_dot_product_attention(q, k, v)
        return self.o_proj(out.transpose(1, 2).reshape(-1, length, width))


class Block(nn.Module):
    """Mixes positions, then channels. Each result is added to its input, and the sum normed."""

    def __init__(self, c: Config):
        super().__init__()
        self.eps = c.rms_norm_eps
        if c.mlp_t:
            self.mlp_t = SwiGLU(c.prefix_len + c.seq_len, c.expansion)
        else:
            self.self_attn = Attention(c.hidden_size, c.num_heads)
        self.mlp = SwiGLU(c.hidden_size, c.expansion)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor] | None) -> Tensor:
        if hasattr(self, "mlp_t"):
            x = x.transpose(1, 2)
            x = rms_norm(x + self.mlp_t(x), self.eps).transpose(1, 2)  # along the positions
        else:
            x = rms_norm(x + self.self_attn(x, rope), self.eps)
        return rms_norm(x + self.mlp(x), self.eps)


class Level(nn.Module):
    """A stack of blocks, applied to the sum of its inputs: f in the paper."""

    def __init__(self, c: Config, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(Block(c) for _ in range(layers))

    def forward(self, rope: tuple[Tensor, Tensor] | None, *inputs: Tensor) -> Tensor:
        x = sum(inputs[1:], inputs[0])
        for block in self.layers:
            x = block(x, rope)
        return x


class Model(nn.Module):
    """A TRM of any published variant. Weights are float32. A step computes in `dtype`."""

    def __init__(self, config: Config, dtype: torch.dtype = torch.float32):
        super().__init__()
        c = self.config = config
        self.dtype = dtype
        width, std = c.hidden_size, c.hidden_size**-0.5
        for state in self.states:
            # In the precision of the file, so that saving a model does not change it.
            row = truncated_normal(width, std=1.0).to(getattr(torch, c.forward_dtype)).float()
            self.register_buffer(state.removeprefix("z_") + "_init", row)
        self.embed_tokens = Embedding(c.vocab_size, width, std)
        self.lm_head = Linear(width, c.vocab_size)
        self.q_head = HaltingHead(width)
        if c.puzzle_emb_ndim:
            self.puzzle_emb = Embedding(c.num_puzzle_identifiers, c.puzzle_emb_ndim, 0.0, "weights")
        if c.pos_encodings == "learned":
            self.embed_pos = Embedding(c.prefix_len + c.seq_len, width, std)
        if c.variant in ("hrm", "baseline"):
            self.H_level = Level(c, c.H_layers)
        if c.variant != "baseline":
            self.L_level = Level(c, c.L_layers)
        self.angles: dict = {}

    @property
    def states(self) -> list[str]:
        return self.config.states

    def compile_blocks(self) -> None:
        """Compiles each block by itself. Compiling a whole step, with all passes, takes minutes."""
        for level in ("H_level", "L_level"):
            for block in getattr(getattr(self, level, None), "layers", ()):
                block.forward = torch.compile(block.forward, dynamic=False)

    def plain_attention(self) -> "Model":
        """Writes attention as matmul, softmax, matmul, for exporters. Returns the model."""
        for module in self.modules():
            if isinstance(module, Attention):
                module.plain = True
        return self

    def embed(self, inputs: Tensor, ids: Tensor) -> Tensor:
        """Returns the input embedding [B, L, D] of inputs [B, S] and puzzle identifiers [B]."""
        c = self.config
        x = F.embedding(inputs, self.embed_tokens.table(self.dtype))
        if c.puzzle_emb_ndim:
            row = F.embedding(ids, self.puzzle_emb.table(self.dtype))
            row = F.pad(row, (0, c.prefix_len * c.hidden_size - c.puzzle_emb_ndim))
            x = torch.cat((row.reshape(-1, c.prefix_len, c.hidden_size), x), 1)
        if c.pos_encodings == "learned":
            x = math.sqrt(0.5) * (x + self.embed_pos.table(self.dtype))
        return math.sqrt(c.hidden_size) * x

    def initial(self, batch: int, tokens: int | None = None) -> dict[str, Tensor]:
        """Returns the states [B, L, D] before the first step. Default of `tokens` (S): seq_len."""
        c = self.config
        shape = (batch, c.prefix_len + (tokens or c.seq_len), c.hidden_size)
        return {
            s: getattr(self, s.removeprefix("z_") + "_init").to(self.dtype).expand(shape)
            for s in self.states
        }

    def rope(self, positions: int, device: torch.device) -> tuple[Tensor, Tensor] | None:
        """Returns the cosines and sines [L, head size] of rotary positions."""
        c = self.config
        if c.mlp_t or c.pos_encodings not in ("rope", "rope2d"):
            return None
        key = (positions, device)
        if key not in self.angles:
            size = c.hidden_size // c.num_heads
            if c.pos_encodings == "rope":
                frequencies = c.rope_theta ** (-torch.arange(0, size, 2).float() / size)
                angles = torch.outer(torch.arange(positions).float(), frequencies)
            else:  # half of the pairs rotate with the row, half with the column
                frequencies = c.rope_theta ** (-torch.arange(0, size, 4).float() / size)
                side = math.isqrt(positions)
                cells = torch.arange(positions)
                angles = torch.cat(
                    [torch.outer(at.float(), frequencies) for at in (cells // side, cells % side)],
                    1,
                )
            angles = angles.repeat(1, 2)
            self.angles[key] = angles.cos().to(device), angles.sin().to(device)
        return self.angles[key]

    def step(
        self, states: dict[str, Tensor], inputs: Tensor, ids: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
        """Runs one refinement step.

        Returns the states [B, L, D], the logits [B, S, V], and the halting logits q_halt and
        q_continue [B]. The gradient flows through the passes that the published training
        differentiates: the last H cycle, and in HRM the last pass of each level.
        """
        c = self.config
        rope = self.rope(c.prefix_len + int(inputs.shape[1]), inputs.device)
        x = self.embed(inputs, ids)
        states = dict(states)
        passes = self.passes(states, x, rope)
        first = {"hrm": len(passes) - 2, "baseline": 0}.get(
            c.variant, len(passes) * (c.H_cycles - 1) // c.H_cycles
        )
        with torch.no_grad():
            for run in passes[:first]:
                run()
        for run in passes[first:]:
            run()
        return states, *self.heads(states[self.states[0]])

    def heads(self, answer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the logits [B, S, V], q_halt and q_continue [B] of an answer state [B, L, D]."""
        q = self.q_head(self.halting_features(answer)).float()
        return self.lm_head(answer)[:, self.config.prefix_len :], q[:, 0], q[:, 1]

    def halting_features(self, answer: Tensor) -> Tensor:
        """Returns what the halting head reads, [B, D]."""
        return answer[:, 0]

    def passes(
        self, states: dict[str, Tensor], x: Tensor, rope: tuple[Tensor, Tensor] | None
    ) -> list:
        """Returns the passes of a step, in order. Each is a function that rewrites one state."""
        c = self.config

        def to(target: str, level: Level, names: list[str], *more: Tensor):
            def run():
                states[target] = level(rope, *(states[name] for name in names), *more)

            return run

        if c.variant == "baseline":
            return [to("z_H", self.H_level, ["z_H"], x)]
        low = self.L_level
        if c.variant == "singlez":
            cycle = [to("z_L", low, ["z_L"], x)] * c.L_cycles + [to("z_L", low, ["z_L"])]
        elif c.variant == "hier6":
            lower = self.states[1:]
            cycle = [to(out, low, [*lower, "z_H"], x) for out in lower[: c.L_cycles]] + [
                to("z_H", low, [*lower, "z_H"])
            ]
        else:
            high = self.H_level if c.variant == "hrm" else low
            cycle = [to("z_L", low, ["z_L", "z_H"], x)] * c.L_cycles + [
                to("z_H", high, ["z_H", "z_L"])
            ]
        return cycle * c.H_cycles

    def halts(self, q_halt: Tensor, q_continue: Tensor) -> Tensor:
        """Returns whether each puzzle halts, [B], by the published rule."""
        continues = self.config.variant in ("hrm", "baseline") or not self.config.no_ACT_continue
        return q_halt > (q_continue if continues else 0)


def build(config: Config, dtype: torch.dtype = torch.float32) -> Model:
    """Returns an untrained model of any variant."""
    if config.variant != "symbols":
        return Model(config, dtype)
    import symbols

    return symbols.SymbolModel(config, dtype)


def variant_of(names: set[str]) -> str:
    """Returns the variant whose tensors have these names."""
    if any(".mixer." in name for name in names):
        return "symbols"
    if "L1_init" in names:
        return "hier6"
    if any(name.startswith("H_level.") for name in names):
        return "hrm" if "L_init" in names else "baseline"
    return "trm" if "H_init" in names else "singlez"


def read_config(folder: pathlib.Path, tensors: dict[str, Tensor]) -> Config:
    """Reads config.json, or all_config.yaml and dataset.json, and the shapes of the tensors."""
    if (folder / "config.json").exists():
        given = json.loads((folder / "config.json").read_text())
    else:
        given = yaml.safe_load((folder / "all_config.yaml").read_text())["arch"]
        if (folder / "dataset.json").exists():
            given |= json.loads((folder / "dataset.json").read_text())
    if given.get("puzzle_ids"):
        raise ValueError(
            f"{folder} has only some rows of the puzzle embedding (puzzle_ids); training needs all"
        )
    known = {f.name for f in fields(Config)}
    variant = variant_of(set(tensors))
    symbols = variant == "symbols"
    config = Config(
        variant=variant,
        **{
            k: v
            for k, v in given.items()
            if k in known - {"vocab_size", "variant"} and v is not None
        },
        vocab_size=given["vocab_size"] if symbols else tensors["lm_head.weight"].shape[0],
    )
    if "puzzle_emb.weights" in tensors:
        config.num_puzzle_identifiers = tensors["puzzle_emb.weights"].shape[0]
    positions = next(
        (
            t
            for n, t in tensors.items()
            if n.endswith(("mlp_t.down_proj.weight", "embed_pos.embedding_weight"))
        ),
        None,
    )
    if positions is not None:
        config.seq_len = positions.shape[0] - config.prefix_len
    return config


def updates_of(folder: str | pathlib.Path) -> int:
    """Returns for how many updates the model of a folder was trained, or 0 if that is not known."""
    file = pathlib.Path(folder) / "config.json"
    step = json.loads(file.read_text()).get("step") if file.exists() else None
    return step or latest(folder) or 0


def latest(folder: str | pathlib.Path) -> int | None:
    """Returns the largest N of the files step_N in a folder."""
    names = (path.name.removeprefix("step_") for path in pathlib.Path(folder).glob("step_*"))
    return max((int(name) for name in names if name.isdigit()), default=None)


def load(folder: str | pathlib.Path, dtype: torch.dtype = torch.float32) -> Model:
    """Loads the model of a folder: model.safetensors, or the latest step_N, and a configuration."""
    folder = pathlib.Path(folder)
    file = folder / "model.safetensors"
    if file.exists():
        tensors = load_file(file)
    else:
        step = latest(folder)
        if step is None:
            raise FileNotFoundError(f"{folder} has neither model.safetensors nor step_N")
        file = folder / f"step_{step}"
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    tensors = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
    integers = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
    if integers:
        raise ValueError(f"{file}: {integers[0]} is int8; training needs the model in f32 or f16")
    model = build(read_config(folder, tensors), dtype)
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return model


def save(model: Model, folder: str | pathlib.Path, step: int, training: dict | None = None) -> None:
    """Writes step_N, all_config.yaml (with `training`) and dataset.json, as published."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    c = model.config
    narrow = getattr(torch, c.forward_dtype)
    tensors = {
        PREFIX + name: tensor.detach().to(
            "cpu", narrow if name.endswith("_init") else torch.float32
        )
        for name, tensor in model.state_dict().items()
    }
    part = folder / "step.part"
    torch.save(tensors, part)
    part.rename(folder / f"step_{step}")
    dataset = {k: getattr(c, k) for k in ("vocab_size", "seq_len", "num_puzzle_identifiers")}
    unknown = {*dataset, "rope_theta", "rms_norm_eps"}
    if c.variant in ("hrm", "baseline"):
        unknown |= {"mlp_t", "no_ACT_continue"}
    arch = {name: value for name, value in c.known().items() if name not in unknown}
    arch = {
        "name": NAMES[c.variant],
        "loss": {"name": "losses@ACTLossHead", "loss_type": "softmax_cross_entropy"},
    } | arch
    (folder / "all_config.yaml").write_text(
        yaml.safe_dump({"arch": arch, **(training or {})}, sort_keys=False)
    )
    more = {"pad_id": 0, "ignore_label_id": 0, "blank_identifier_id": 0, "sets": ["all"]}
    (folder / "dataset.json").write_text(json.dumps(more | dataset) + "\n")


def save_weights(model: Model, folder: str | pathlib.Path, step: int) -> None:
    """Writes model.safetensors in f16, and config.json."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.detach().to("cpu", torch.float16)
        for name, tensor in model.state_dict().items()
    }
    save_file(tensors, folder / "model.part")
    (folder / "config.json").write_text(
        json.dumps({**model.config.known(), "step": step}, indent=2) + "\n"
    )
    (folder / "model.part").chmod(0o644)
    (folder / "model.part").rename(folder / "model.safetensors")
