"""What Python callers may not give to the zero-shot tasks of a model, and what they are told."""

import math

import numpy as np
import pytest
import torch
from tiny import tiny_model

from vartk_registry import VartkError

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
MASKS = torch.ones(16, 16)
NO_NAMES = ("x", "", None, 3, True, ["pad"], np.zeros((2, 2)), torch.zeros(2))
NO_COUNTS = ("1", None, True, 1.5, math.nan, -1, 99, [1], torch.rand(2, 3, 16, 16))


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def calls(model):
    """Each task with arguments that are right, to be called with a wrong one."""
    return {
        "inpaint": lambda **wrong: model.inpaint(**({"images": IMAGES, "masks": MASKS} | wrong)),
        "outpaint": lambda **wrong: model.outpaint(**({"images": IMAGES, "canvas": (2, 1)} | wrong)),
        "vary": lambda **wrong: model.vary(**({"images": IMAGES, "keep": 1} | wrong)),
        "upscale": lambda **wrong: model.upscale(**({"images": IMAGES, "factor": 1.5} | wrong)),
        "interpolate": lambda **wrong: model.interpolate(**({"start": 0, "end": 1, "steps": 2} | wrong)),
        "given": lambda **wrong: model.given(**({"images": IMAGES, "masks": MASKS} | wrong)),
        "sample": lambda **wrong: model.sample([0, 1], **wrong),
        "stream": lambda **wrong: model.stream([0, 1], **wrong),
    }


@pytest.mark.parametrize(
    ("task", "argument", "values", "message"),
    [
        ("inpaint", "images", (None, "x", IMAGES[0], IMAGES * 9, IMAGES * math.nan), "images must be floats"),
        ("inpaint", "masks", (None, "x", MASKS * 2, MASKS[:3], MASKS * math.nan), "masks must be numbers"),
        ("inpaint", "fit", NO_NAMES, "unknown fit .* Valid: pad, stretch, tile"),
        ("outpaint", "fit", NO_NAMES, "unknown fit .* Valid: pad, stretch, tile"),
        ("inpaint", "composite", NO_NAMES, "unknown composite .* Valid: codes, paste"),
        ("given", "composite", NO_NAMES, "unknown composite .* Valid: codes, paste"),
        ("outpaint", "at", NO_NAMES, "unknown place .* Valid: bottom"),
        ("inpaint", "keep", NO_COUNTS, "keep=.* is out of range; give 0 to 3 scales"),
        ("vary", "keep", NO_COUNTS, "keep=.* is out of range; give 0 to 3 scales"),
        ("inpaint", "window", ("8", 0, -8, 1.5, True, [8]), "window=.* is no size; give the shorter side"),
        ("inpaint", "watch", ("x", 3, True, [print]), "watch=.* cannot be called; give a function"),
        ("sample", "watch", ("x", 3, True, [print]), "watch=.* cannot be called; give a function"),
        (
            "upscale",
            "factor",
            ("2", None, True, 1, 0.5, -2, math.nan, math.inf, 1e9, [2]),
            "factor=.* enlarge",
        ),
        (
            "outpaint",
            "canvas",
            ("21", 2, None, (2,), (2, "1"), (2, math.nan), (1e9, 1)),
            "canvas=.* is no width",
        ),
        ("interpolate", "steps", ("2", None, True, 1, -1, 2.5), "steps=.* is no way between two ends"),
        ("interpolate", "start", (IMAGES[0],), "one end is an image and the other a label"),
        ("sample", "given", ("x", 3, MASKS, [IMAGES]), "given=.* holds no cells; make them with model.given"),
        ("stream", "given", ("x", 3, MASKS, [IMAGES]), "given=.* holds no cells; make them with model.given"),
    ],
)
def test_wrong_arguments(calls, task, argument, values, message):
    for value in values:
        with pytest.raises(VartkError, match=message) as caught:
            calls[task](**{argument: value})
        assert len(str(caught.value)) < 250
