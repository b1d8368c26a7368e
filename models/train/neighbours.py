"""Initializes attention heads to look at the four neighbours of a cell.

A maze is solved from cell to neighbouring cell. A model with rotary positions sees only how far
apart two cells are in the sequence of tokens: 1, or the number of columns, for neighbours. Random
weights need thousands of updates to learn that. Here the first four heads of each block start with
it.

The score of a query at position m and a key at position n is a sum over pairs of channels. Each
pair is rotated by its position times its frequency t. If all queries and all keys are the same,
the score is the sum of a^2 cos((m - n) t + p). It is largest where n - m equals p / t for all
pairs. The queries and keys are made from the first channel of the embeddings, which is the same
for all tokens.
"""

import math

import torch
from torch import Tensor

import trm

FIRST_CHANNEL = 4.0  # of each token's embedding; the other channels have a deviation of 1
MARGIN = 4.0  # of the neighbour's score over the scores of all other cells
NOISE_SCALE = 0.5  # of the random part of queries and keys, which is noise in that score
# The first channel of the inputs of the two blocks. The norms shrink it. In the first block most
# cells attend to the neighbour at first, in the second block less than half.
FIRST_CHANNEL_OF_BLOCK = (4.0, 2.0)


def frequencies(config: trm.Config) -> Tensor:
    """Returns the rotation per token of each pair of channels (i, i + half) of a head."""
    half = config.hidden_size // config.num_heads // 2
    return config.rope_theta ** (-torch.arange(half).float() / half)


def offsets(columns: int) -> list[int]:
    """Returns how many tokens after a cell each head looks: right, left, below, above."""
    return [1, -1, columns, -columns]


@torch.no_grad()
def initialize(model: trm.Model, columns: int) -> None:
    """Makes the first four heads of an untrained model look at neighbours in a grid."""
    c, angles = model.config, frequencies(model.config)
    size, half, width = c.hidden_size // c.num_heads, len(angles), c.hidden_size
    share = angles**0.8  # high frequencies separate near cells, low ones far cells
    margin = min(
        float((share * (1 - (distance * angles).cos())).sum()) for distance in range(1, columns**2)
    )
    amplitudes = (share * MARGIN * math.sqrt(size) / margin).sqrt()
    model.embed_tokens.embedding_weight[:, 0] = FIRST_CHANNEL / math.sqrt(width)
    for block, seen in zip(model.L_level.layers, FIRST_CHANNEL_OF_BLOCK, strict=True):
        queries, keys, _ = block.self_attn.qkv_proj.weight.split(width)
        queries *= NOISE_SCALE
        keys *= NOISE_SCALE
        for head, offset in enumerate(offsets(columns)):
            at, a = head * size, amplitudes / seen
            queries[at : at + size, 0] = torch.cat(
                (a * (offset * angles).cos(), a * (offset * angles).sin())
            )
            keys[at : at + size, 0] = torch.cat((a, torch.zeros(half)))


@torch.no_grad()
def resize(model: trm.Model, before: int, after: int) -> None:
    """Adapts a model for grids of `before` columns to grids of `after` columns.

    The queries of the heads that look above and below are rotated by the difference, so that they
    look at the new distance.
    """
    angles = frequencies(model.config)
    size, half = 2 * len(angles), len(angles)
    for block in model.L_level.layers:
        weight = block.self_attn.qkv_proj.weight
        for head, (old, new) in enumerate(zip(offsets(before), offsets(after))):
            low, high = weight[head * size : (head + 1) * size].split(half)
            cos, sin = (
                ((new - old) * angles)[:, None].cos(),
                ((new - old) * angles)[:, None].sin(),
            )
            rotated = torch.cat((low * cos - high * sin, high * cos + low * sin))
            weight[head * size : (head + 1) * size] = rotated
