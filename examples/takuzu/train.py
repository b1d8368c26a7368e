"""Trains a model for Takuzu: `python examples/takuzu/train.py takuzu --out runs/takuzu`.

--help lists all options.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "models/train"))
import train
from takuzu import SIDE, Takuzu

TOKENS = 4  # padding, blank, 0, 1
train.RECIPES["takuzu"] = train.Recipe(
    config=train.shape(SIDE, TOKENS, width=64),
    task=Takuzu(),
    kinds=[((8, 20), 2), ((0, 0), 1)],
    tests={"held out": Takuzu().generate(200, 1, (8, 20), test=True)},
    updates=3000,
    lr=4e-3,
    ema=0.995,
    exclude=False,  # the generator itself holds out the test grids
)
train.main()
