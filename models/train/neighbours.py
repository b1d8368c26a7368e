"""Attention that starts out looking at the four neighbours of a cell.

A maze is solved from cell to neighbouring cell. A model with rotary positions knows cells by how far apart they are in the
row of tokens: neighbours by 1 and by the number of columns. To find that out from random weights takes thousands of
updates; here the first four heads of each block begin with it, and training goes on from there.

The score of a query at position m with a key at position n is a sum over pairs of numbers, each turned by the angle of its
position and frequency t. With the same numbers in all queries, and in all keys, it is the sum of a^2 cos((m - n) t + p):
largest where n - m is what p / t is for all pairs. What is the same in all tokens is the first number of each embedding.
"""

import math

import torch
from torch import Tensor

import trm

STEADY = 4.0  # the first number of each token's embedding; the others deviate by 1
MARGIN = 4.0  # by which the score of the neighbour is above those of all other cells
QUIET = 0.5  # of the random part of queries and keys, which is noise in that score
# The first number of what the two blocks see, after norms: it shrinks. The second block's heads begin with less than half of
# their cells at the neighbour; the first one's with most.
SEEN = (4.0, 2.0)


def frequencies(config: trm.Config) -> Tensor:
    """Of the pairs (i, i + half) of a head's numbers: the angle between neighbouring tokens."""
    half = config.hidden_size // config.num_heads // 2
    return config.rope_theta ** (-torch.arange(half).float() / half)


def offsets(columns: int) -> list[int]:
    """How many tokens after a cell each head looks: right, left, below, above."""
    return [1, -1, columns, -columns]


@torch.no_grad()
def look_around(model: trm.Model, columns: int) -> None:
    """Gives the first four heads of a fresh model its neighbours, in grids of so many columns."""
    c, angles = model.config, frequencies(model.config)
    size, half, width = c.hidden_size // c.num_heads, len(angles), c.hidden_size
    share = angles**0.8  # high frequencies tell neighbours apart, low ones what is far away
    margin = min(float((share * (1 - (distance * angles).cos())).sum()) for distance in range(1, columns**2))
    amplitudes = (share * MARGIN * math.sqrt(size) / margin).sqrt()
    model.embed_tokens.embedding_weight[:, 0] = STEADY / math.sqrt(width)
    for block, seen in zip(model.L_level.layers, SEEN, strict=True):
        queries, keys, _ = block.self_attn.qkv_proj.weight.split(width)
        queries *= QUIET
        keys *= QUIET
        for head, offset in enumerate(offsets(columns)):
            at, a = head * size, amplitudes / seen
            queries[at : at + size, 0] = torch.cat((a * (offset * angles).cos(), a * (offset * angles).sin()))
            keys[at : at + size, 0] = torch.cat((a, torch.zeros(half)))


@torch.no_grad()
def turn(model: trm.Model, before: int, after: int) -> None:
    """Makes of a model for grids of `before` columns one for grids of `after` columns.

    The heads that look above and below look further or less far: their queries are turned by the angles of the
    difference, which moves all that they look at by it.
    """
    angles = frequencies(model.config)
    size, half = 2 * len(angles), len(angles)
    for block in model.L_level.layers:
        weight = block.self_attn.qkv_proj.weight
        for head, (old, new) in enumerate(zip(offsets(before), offsets(after))):
            low, high = weight[head * size : (head + 1) * size].split(half)
            cos, sin = (((new - old) * angles)[:, None].cos(), ((new - old) * angles)[:, None].sin())
            turned = torch.cat((low * cos - high * sin, high * cos + low * sin))
            weight[head * size : (head + 1) * size] = turned
