"""Halves the output layers of cross-attention and writes the model in half precision.

Run it with `python docs/emoji64-text/halve.py RUN FOLDER`. Cross-attention was trained on the coarse scales
alone; at half strength it keeps most of their gain, and the finest scale loses little.
"""

import sys

import torch

import vartk

SHARE = 0.5

model = vartk.load(sys.argv[1], device="cpu")
with torch.no_grad():
    for block in model.predictor.transformer.blocks:
        block.cross.proj.weight.mul_(SHARE)
        block.cross.proj.bias.mul_(SHARE)
vartk.save(model, sys.argv[2], dtype=torch.float16)
