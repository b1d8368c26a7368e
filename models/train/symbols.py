"""A TRM whose states have a symbol axis: one field of cells per digit, all with the same weights.

Shapes: B batch, K symbols (the digits), S cells, D width, V = K + 2 tokens. A state is
[B, K, S, D]. The recursion and the training are those of TRM. The block, the input embedding and
the heads differ. Renaming the digits permutes the fields, and thereby the answer.

A block is `x = rms(x + mixer(x))`, then `x = rms(x + swiglu(x))` over the channels. `rms` is
RMSNorm over the channels without weights. There are two mixers:

- `cells`: a SwiGLU over the cells of each field, as in TRM's `mlp_t`, with the norm over the cells.
  Then each field reads the mean of the other fields through a matrix.
- `units`: messages `m = silu(x G) * (x U)`, [B, K, S, M]. A sixth of the channels each is summed
  over the other members of a unit: the row, the column, the box, the row within the box, the
  column within the box, and the symbols of the cell. A matrix maps the sums back to D. This mixer
  knows nothing else of where a cell is. Therefore exchanging rows, columns, bands or stacks
  permutes the answer in the same way, and the same weights fit Sudokus of any size.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fused
import trm

NOT_A_DIGIT = -100.0
UNITS = 6  # of a cell and symbol


def swiglu(gate_up: Tensor) -> Tensor:
    """Returns silu(gate) * up of the two halves of the last axis."""
    gate, up = gate_up.chunk(2, -1)
    return F.silu(gate) * up


class SwiGLU(nn.Module):
    """Maps [.., D] to [.., D] through `inner` channels."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.gate_up_proj = trm.Linear(width, 2 * inner)
        self.down_proj = trm.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(swiglu(self.gate_up_proj(x)))


class CellMixer(nn.Module):
    """Mixes the cells of each field, then the fields: [B, K, S, D] to the same."""

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
    """Sums messages [B, K, S, M] over the other members of UNITS units, M / UNITS channels each.

    The units of a cell and symbol are the row, the column, the box, the row within the box, the
    column within the box, and the symbols of the cell. `box` has the rows and columns of a box.
    """
    batch, symbols, cells, _ = messages.shape
    side, (rows, cols) = math.isqrt(cells), box
    # [B, K, box row, row within the box, box column, column within the box, M / UNITS]
    shape = (batch, symbols, side // rows, rows, side // cols, cols, -1)
    parts = [part.reshape(shape) for part in messages.chunk(UNITS, -1)]
    unit_axes = ((4, 5), (2, 3), (3, 5), (5,), (3,), (1,))
    sums = [part.sum(axes, keepdim=True).expand_as(part) for part, axes in zip(parts, unit_axes)]
    return torch.cat(sums, -1).reshape(messages.shape) - messages


class UnitMixer(nn.Module):
    """Exchanges messages within rows, columns, boxes and cells: [B, K, S, D] to the same."""

    def __init__(self, c: trm.Config):
        super().__init__()
        self.eps, self.box = c.rms_norm_eps, tuple(c.box)
        self.gate_up_proj = trm.Linear(c.hidden_size, 2 * c.mixer_inner)
        self.down_proj = trm.Linear(c.mixer_inner, c.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        messages = swiglu(self.gate_up_proj(x))
        return trm.rms_norm(x + self.down_proj(sums_of_others(messages, self.box)), self.eps)


class Block(nn.Module):
    """Applies the mixer, then a SwiGLU over the channels."""

    def __init__(self, c: trm.Config):
        super().__init__()
        self.eps = c.rms_norm_eps
        self.mixer = {"cells": CellMixer, "units": UnitMixer}[c.mixer](c)
        self.mlp = SwiGLU(c.hidden_size, c.mlp_inner)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.mixer, UnitMixer):
            layers = (part for side in (self.mixer, self.mlp) for part in side.children())
            out = fused.block(x, self.mixer.box, self.eps, *(layer.weight for layer in layers))
            if out is not None:
                return out
        return self.plain(x)

    def plain(self, x: Tensor) -> Tensor:
        """Applies the block in PyTorch, on any device and in any dtype."""
        x = self.mixer(x)
        return trm.rms_norm(x + self.mlp(x), self.eps)


class Level(nn.Module):
    """A stack of blocks, applied to the sum of its inputs."""

    def __init__(self, c: trm.Config, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(Block(c) for _ in range(layers))

    def forward(self, rope: None, *inputs: Tensor) -> Tensor:
        x = sum(inputs[1:], inputs[0])
        for block in self.layers:
            x = block(x)
        return x


class SymbolModel(trm.Model):
    """A TRM with states [B, K, S, D]. The methods are those of `trm.Model`."""

    def __init__(self, config: trm.Config, dtype: torch.dtype = torch.float32):
        nn.Module.__init__(self)
        c = self.config = config
        self.dtype = dtype
        width = c.hidden_size
        for state in self.states:
            row = trm.truncated_normal(width, std=1.0).to(getattr(torch, c.forward_dtype)).float()
            self.register_buffer(state.removeprefix("z_") + "_init", row)
        # A cell of a field is blank, given as the field's symbol, or given as another symbol.
        self.embed_tokens = trm.Embedding(3, width, width**-0.5)
        self.lm_head = trm.Linear(width, 1)
        self.q_head = trm.HaltingHead(width)
        self.L_level = Level(c, c.L_layers)

    def embed(self, inputs: Tensor, ids: Tensor) -> Tensor:
        """Returns the input embedding [B, K, S, D] of inputs [B, S]. `ids` are not used."""
        symbols = torch.arange(2, self.config.vocab_size, device=inputs.device)[None, :, None]
        tokens = inputs[:, None, :]
        role = torch.where(tokens == symbols, 1, torch.where(tokens > 1, 2, 0))
        return math.sqrt(self.config.hidden_size) * F.embedding(
            role, self.embed_tokens.table(self.dtype)
        )

    def initial(self, batch: int, tokens: int | None = None) -> dict[str, Tensor]:
        """Returns the states [B, K, S, D] before the first step. Default of `tokens`: seq_len."""
        c = self.config
        shape = (batch, c.vocab_size - 2, tokens or c.seq_len, c.hidden_size)
        return {
            s: getattr(self, s.removeprefix("z_") + "_init").to(self.dtype).expand(shape)
            for s in self.states
        }

    def rope(self, positions: int, device: torch.device) -> None:
        """Returns None: there are no rotary positions."""
        return None

    def heads(self, answer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the logits [B, S, V], q_halt and q_continue [B] of an answer state [B, K, S, D].

        The tokens 0 and 1, which are no digits, have the logit NOT_A_DIGIT.
        """
        symbols = self.lm_head(answer).squeeze(-1).transpose(1, 2).float()
        q = self.q_head(self.halting_features(answer).to(self.dtype)).float()
        return F.pad(symbols, (2, 0), value=NOT_A_DIGIT), q[:, 0], q[:, 1]

    def halting_features(self, answer: Tensor) -> Tensor:
        """Returns what the halting head reads: the mean over symbols and cells, [B, D]."""
        tokens = answer.shape[1] * answer.shape[2]
        return answer.sum((1, 2), dtype=torch.float32) / tokens
