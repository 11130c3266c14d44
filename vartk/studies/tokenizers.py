"""The measure `reconstruction`: the quality and the distances of reconstructed images, codes by scale."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ..components import plugins
from ..config import EvalConfig, compose, load_layers
from ..engine.build import grid
from ..engine.data import Images
from ..engine.device import as_device
from ..engine.folder import load_model
from ..engine.recipes import open_datasets
from ..engine.sets import Seen, set_distances, vector_kinds
from ..engine.training.quality import ReconstructionQuality
from ..evaluation.report import set_name
from ..tables import Table
from .measures import Context
from .study import System
from .training import SECONDS

AT_ONCE = 32
"""Validation images that are reconstructed at once."""


@torch.no_grad()
def reconstruction(context: Context, system: System, model: Path) -> dict[str, Any]:
    """Return the quality of reconstructed validation images, the use of codes by scale, and what it cost.

    `distances` are those of the reconstructions from the images that they are of, as `vartk eval` has them.
    """
    layers = load_layers(system.config or context.study.config, plugins())
    config = compose(EvalConfig, [*layers, context.study.layer(system)], plugins()).config
    registry, stage = plugins().registry, config.train.tokenizer
    device = as_device(context.device)
    loaded = load_model(model, plugins()).to(device)
    tokenizer, schedule = loaded.tokenizer, loaded.schedule.scales
    dataset = open_datasets(config, context.note, ["validation"])["validation"]
    images = Images(dataset, grid(config.image_size))
    feature = registry.build("feature", config.feature.name, config.feature.params).to(device)
    quality = ReconstructionQuality(registry, tokenizer.space, len(schedule), images.size, feature)
    kinds = vector_kinds(registry, config.metrics, feature)
    seen, made = [], []
    bar = context.add_bar(f"reconstructions of {system.name}", len(images))
    for start in range(0, len(images), AT_ONCE):
        stop = min(start + AT_ONCE, len(images))
        pixels = torch.stack([images[i] for i in range(start, stop)]).to(device)
        output = tokenizer(pixels, schedule)
        quality.update(output, pixels)
        seen.append(Seen.of(feature, (pixels + 1) / 2, kinds))
        made.append(Seen.of(feature, (output.images + 1) / 2, kinds))
        bar.update(stop)
    timed = model.parent / SECONDS
    return {
        **quality.compute(),
        "distances": set_distances(registry, config.metrics, Seen.joined(made), Seen.joined(seen)),
        "feature": feature.label,
        "sizes": list(schedule.sizes),
        "validation_images": len(images),
        "images": stage.steps * stage.batch,
        "seed": stage.seed,
        "seconds": json.loads(timed.read_text()) if timed.is_file() else None,
    }


def reconstruction_tables(
    rows: Mapping[str, Mapping[str, Any]], samples: Mapping[str, Mapping[str, Any]]
) -> Iterator[Table]:
    """Yield the tables of tokenizers by name: quality, then the use of codes at each scale.

    Args:
        samples: the distances of the samples of the transformers on these tokenizers; empty without any.
    """
    first = next(iter(rows.values()))
    metric = next(name for name in first["distances"] if name not in ("n", "m"))
    distance = set_name(metric, first["feature"])
    headings = ["tokenizer", "images", "PSNR", "SSIM", f"distance ({first['feature']})"]
    headings += [f"{distance} of reconstructions"]
    headings += [f"{distance} of samples"] * bool(samples)
    table = []
    for name, row in rows.items():
        far = [row["distances"][metric], *([samples[name][metric]] if samples else [])]
        table.append(
            (
                name,
                f"{row['images']:,}",
                *(f"{row[key]:.3f}" for key in ("psnr_db", "ssim", "perceptual")),
                *(f"{number:.4g}" for number in far),
                f"{row['usage']:.1%}",
                f"{row['perplexity']:.0f}",
                "-" if row["seconds"] is None else f"{row['seconds'] / 60:.1f}",
                str(row["seed"]),
            )
        )
    yield Table((*headings, "usage", "perplexity", "minutes", "seed"), table, "Tokenizers")
    scales = max(len(row["sizes"]) for row in rows.values())
    yield Table(
        ("tokenizer", *(f"scale {scale}" for scale in range(scales))),
        [
            (name, *(_use(row, scale) if scale < len(row["sizes"]) else "" for scale in range(scales)))
            for name, row in rows.items()
        ],
        "Perplexity of the codes by scale, and their usage",
    )


def _use(row: Mapping[str, Any], scale: int) -> str:
    return f"{row[f'perplexity_{scale}']:.0f} ({row[f'usage_{scale}']:.1%})"
