"""Weakens cross-attention to 0.7 of its strength, and writes the model in half precision.

Run it with `python docs/emoji64-text/weaken.py RUN FOLDER`. Most of the training saw the coarse scales alone;
at this strength cross-attention keeps what they gained, and the finest scale loses nothing.
"""

import sys

import torch

import vartk

STRENGTH = 0.7

model = vartk.load(sys.argv[1], device="cpu")
with torch.no_grad():
    for block in model.predictor.transformer.blocks:
        block.cross.proj.weight.mul_(STRENGTH)
        block.cross.proj.bias.mul_(STRENGTH)
vartk.save(model, sys.argv[2], dtype=torch.float16)
