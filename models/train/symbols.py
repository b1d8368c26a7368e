"""A TRM whose states have an axis of symbols: one field of the grid per digit, all fields with the same weights.

Shapes: B batch, K symbols (the digits), S cells, D width, V = K + 2 tokens. A state is [B, K, S, D]. The recursion, the
heads and the training are TRM's; only the block differs. Renaming the digits permutes the fields, and so the answer.

Two mixers:

- `cells`: a SwiGLU over the cells of each field, as in TRM's `mlp_t`, then a coupling of each field to the mean of the
  others.
- `units`: each field and cell sends messages to its row, column, box and cell, and gets the sum of the others' back. The
  same weights for all rows, columns and boxes: every symmetry of a Sudoku is one of the model, and it fits any size.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import trm


def swiglu(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, -1)
    return F.silu(gate) * up


class SwiGLU(nn.Module):
    """[.., D] -> [.., D] through `inner` channels."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.gate_up_proj = trm.Linear(width, 2 * inner)
        self.down_proj = trm.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(swiglu(self.gate_up_proj(x)))


class CellMixer(nn.Module):
    """x [B, K, S, D] -> the same: over the cells of a field, then between fields."""

    def __init__(self, c: trm.Config):
        super().__init__()
        self.eps = c.rms_norm_eps
        self.tokens = SwiGLU(c.seq_len, c.mixer_inner)
        self.coupling = trm.Linear(c.hidden_size, c.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(2, 3)
        x = trm.rms_norm(x + self.tokens(x), self.eps).transpose(2, 3)
        others = (x.sum(1, keepdim=True) - x) / (x.shape[1] - 1)
        return trm.rms_norm(x + self.coupling(others), self.eps)


def sums_of_others(messages: Tensor, box: tuple[int, int]) -> Tensor:
    """[B, K, S, 4 M] -> the same: for each quarter the sum over the row, column, box or symbols of a cell, itself excepted."""
    batch, symbols, cells, width = messages.shape
    side, (rows, cols) = math.isqrt(cells), box
    parts = messages.chunk(4, -1)
    grid = (batch, symbols, side, side, -1)
    boxes = (batch, symbols, side // rows, rows, side // cols, cols, -1)
    row = parts[0].reshape(grid).sum(3, keepdim=True).expand(-1, -1, -1, side, -1).reshape(parts[0].shape)
    col = parts[1].reshape(grid).sum(2, keepdim=True).expand(-1, -1, side, -1, -1).reshape(parts[0].shape)
    inside = parts[2].reshape(boxes).sum((3, 5), keepdim=True).expand(-1, -1, -1, rows, -1, cols, -1)
    cell = parts[3].sum(1, keepdim=True).expand(-1, symbols, -1, -1)
    return torch.cat((row, col, inside.reshape(parts[0].shape), cell), -1) - messages


class UnitMixer(nn.Module):
    """x [B, K, S, D] -> the same: messages within rows, columns, boxes and cells."""

    def __init__(self, c: trm.Config):
        super().__init__()
        self.eps, self.box = c.rms_norm_eps, tuple(c.box)
        self.gate_up_proj = trm.Linear(c.hidden_size, 2 * c.mixer_inner)
        self.down_proj = trm.Linear(c.mixer_inner, c.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        messages = swiglu(self.gate_up_proj(x))
        return trm.rms_norm(x + self.down_proj(sums_of_others(messages, self.box)), self.eps)


class Block(nn.Module):
    """The mixer, then a SwiGLU over the channels; each is added to its input, and the sum normed."""

    def __init__(self, c: trm.Config):
        super().__init__()
        self.eps = c.rms_norm_eps
        self.mixer = {"cells": CellMixer, "units": UnitMixer}[c.mixer](c)
        self.mlp = SwiGLU(c.hidden_size, c.mlp_inner)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mixer(x)
        return trm.rms_norm(x + self.mlp(x), self.eps)


class Level(nn.Module):
    """A stack of blocks on the sum of its sources."""

    def __init__(self, c: trm.Config, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(Block(c) for _ in range(layers))

    def forward(self, rope: None, *sources: Tensor) -> Tensor:
        x = sum(sources[1:], sources[0])
        for block in self.layers:
            x = block(x)
        return x


class SymbolModel(trm.Model):
    """What `trm.Model` is, with states [B, K, S, D]."""

    level = Level

    def __init__(self, config: trm.Config, dtype: torch.dtype = torch.float32):
        nn.Module.__init__(self)
        c = self.config = config
        self.dtype = dtype
        width = c.hidden_size
        for state in self.states:
            row = trm.normal(width, std=1.0).to(getattr(torch, c.forward_dtype)).float()
            self.register_buffer(state.removeprefix("z_") + "_init", row)
        # A field's cell is blank, given as this symbol, or given as another.
        self.embed_tokens = trm.Embedding(3, width, width**-0.5)
        self.lm_head = trm.Linear(width, 1)
        self.q_head = trm.HaltingHead(width)
        self.L_level = Level(c, c.L_layers)

    def embed(self, inputs: Tensor, ids: Tensor) -> Tensor:
        """inputs [B, S] -> x [B, K, S, D]."""
        symbols = torch.arange(2, self.config.vocab_size, device=inputs.device)[None, :, None]
        tokens = inputs[:, None, :]
        role = torch.where(tokens == symbols, 1, torch.where(tokens > 1, 2, 0))
        return math.sqrt(self.config.hidden_size) * F.embedding(role, self.embed_tokens.table(self.dtype))

    def initial(self, batch: int, tokens: int | None = None) -> dict[str, Tensor]:
        c = self.config
        shape = (batch, c.vocab_size - 2, tokens or c.seq_len, c.hidden_size)
        return {s: getattr(self, s.removeprefix("z_") + "_init").to(self.dtype).expand(shape) for s in self.states}

    def rope(self, positions: int, device: torch.device) -> None:
        return None

    def heads(self, answer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The answer state [B, K, S, D] -> logits [B, S, V], q_halt and q_continue [B]."""
        symbols = self.lm_head(answer).squeeze(-1).transpose(1, 2).float()
        q = self.q_head(self.halting_features(answer).to(self.dtype)).float()
        return F.pad(symbols, (2, 0), value=-100.0), q[:, 0], q[:, 1]

    def halting_features(self, answer: Tensor) -> Tensor:
        return answer.float().mean((1, 2))
