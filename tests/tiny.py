"""A model, its data and its training in miniature: 16-pixel images, 3 scales, seconds in all."""

from __future__ import annotations

import copy
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vartk.components import plugins
from vartk.config import Composed, Config, Layer, compose, nest
from vartk.engine.folder import new_model
from vartk.engine.model import Model
from vartk_registry import Plugins

CLASSES = ["dark", "light", "stripes"]

CONFIG: dict[str, Any] = {
    "image_size": 16,
    "tokenizer": {
        "name": "var_vqvae",
        "channels": 32,
        "multipliers": [1, 1, 1],
        "blocks": 1,
        "latent": 8,
        "attention": False,
        "phi": 2,
    },
    "quantizer": {"name": "vq", "classes": 24},
    "schedule": {"name": "custom", "grids": [1, 2, 4]},
    "transformer": {"name": "var", "depth": 2, "width": 32, "heads": 2},
    "sampling": {
        "guidance": {"name": "linear", "scale": 1.5},
        "sampler": {"name": "categorical", "top_k": 12, "top_p": 0.96},
        "batch": 4,
    },
    "train": {
        stage: {
            "steps": 4,
            "batch": 4,
            "lr": 1e-3,
            "log_every": 1,
            "eval_every": 4,
            "eval_images": 4,
            "preview_every": 4,
            "save_every": 2,
        }
        for stage in ("tokenizer", "transformer")
    },
}
"""Keys of a configuration, as a YAML file would hold them; a dataset is still to be named."""


def tiny_composed(
    images: Path | None = None, found: Plugins | None = None, **overrides: Any
) -> Composed[Config]:
    """Compose `CONFIG` with a folder of images and dotted overrides: `**{"train.tokenizer.lr": 1}`.

    `found` replaces the installed plugins.
    """
    layers = [Layer("tiny", copy.deepcopy(CONFIG))]
    if images is not None:
        layers.append(Layer("images", {"dataset": {"name": "folder", "path": str(images)}}))
    else:
        layers.append(Layer("classes", {"classes": CLASSES}))
    return compose(Config, [*layers, nest(overrides, "test")], found or plugins())


def tiny_config(images: Path | None = None, found: Plugins | None = None, **overrides: Any) -> Config:
    """Return the configuration of `tiny_composed`; without images it has `CLASSES` as its classes."""
    return tiny_composed(images, found, **overrides).config


def tiny_model(
    seed: int = 0, *, predictor: bool = True, found: Plugins | None = None, **overrides: Any
) -> Model:
    """Build a model of 3 classes in evaluation mode; its random weights give varied images."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = tiny_config(found=found, **overrides)
        model = new_model(config, found or plugins(), predictor=predictor)
        model.tokenizer.eval()
        if model.predictor is not None:
            model.predictor.eval()
            for parameter in model.predictor.parameters():  # as drawn, all classes look alike
                torch.nn.init.normal_(parameter, std=0.3)
    return model


def images_folder(
    folder: Path, train: int = 9, validation: int = 6, size: tuple[int, int] = (16, 16)
) -> Path:
    """Write PNG files of the classes `CLASSES` in train/ and validation/, and return the folder.

    `size` is (height, width).
    """
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("validation", validation)):
        for index in range(count):
            label = CLASSES[index % len(CLASSES)]
            low, high = {"dark": (0, 100), "light": (156, 256), "stripes": (0, 256)}[label]
            pixels = random.integers(low, high, (*size, 3), dtype=np.uint8)
            if label == "stripes":
                pixels[::4] = 255
            path = folder / split / label / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return folder


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Let no file grow past `limit` bytes: a write fails in the middle, as it does on a full disk."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


class Quiet:
    """A reporter that remembers its events."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.steps: list[int] = []

    def step(self, step: int, values: Any) -> None:
        self.steps.append(step)

    def event(self, text: str) -> None:
        self.events.append(text)


class Crash(Exception):
    """What a run dies of."""


class Crashing(Quiet):
    """A reporter with which a run dies at a step."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def step(self, step: int, values: Any) -> None:
        super().step(step, values)
        if step == self.at:
            raise Crash
