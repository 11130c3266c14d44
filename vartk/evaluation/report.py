"""An evaluation's numbers as tables, for the terminal and for `report.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from ..config import leaves
from ..files import whole_folder
from ..tables import Table, markdown_table
from .curve import curve

NAMES = {"psnr_db": "PSNR (dB)", "ssim": "SSIM", "perceptual": "perceptual distance"}
_SET_NAMES = {"fd": "FD", "sfd": "sFD", "kid": "KID", "is": "IS", "is_std": "IS spread"}

JUDGE_WAS_LOSS = (
    "The tokenizer was trained to make this feature's distance small, so it flatters the model; look with "
    "another one, too (feature=NAME)."
)


def write_evaluation(result: Mapping[str, Any], picture: Image.Image | None, folder: Path) -> None:
    """Write `evaluation.json`, `report.md` and the pictures as a new folder."""
    with whole_folder(folder) as aside:
        (aside / "evaluation.json").write_text(json.dumps(result, indent=1))
        (aside / "report.md").write_text(report(result))
        if picture is not None:
            picture.save(aside / "neighbours.png")
        if "scales" in result:
            (aside / "scales.svg").write_text(curve(result["scales"], partial(_name, result)))


def tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of what `Evaluation.run` returned."""
    images, label, quality = result["images"], result["feature"], result["tokenizer"]
    rows: list[Sequence[str]] = [(NAMES[name], _number(quality[name])) for name in NAMES if name in quality]
    title = f"Reconstructions of {images['validation']} validation images ({label})"
    yield Table(("number", "mean"), rows, title)
    scales = [name.removeprefix("usage") for name in quality if name.startswith("usage")]
    rows = [
        (
            key.removeprefix("_") or "all",
            f"{quality[f'usage{key}']:.1%}",
            _number(quality[f"perplexity{key}"]),
        )
        for key in scales
    ]
    yield Table(("scale", "usage", "perplexity"), rows, "Codes in use, of those that could be")
    if "scales" in result:
        yield _scales(result)
    sets = [
        (name, of, numbers)
        for name, references in result["distances"].items()
        for of, numbers in references.items()
    ]
    metrics = [name for name in sets[0][2] if name not in ("n", "m")]
    rows = [
        (name, of, f"{numbers['n']} / {numbers['m']}", *(_number(numbers[metric]) for metric in metrics))
        for name, of, numbers in sets
    ]
    names = [_name(result, metric) for metric in metrics]
    yield Table(("images", "from", "n / m", *names), rows, "Distances between sets of images")
    if "neighbours" in result:
        rows = [
            (
                space,
                f"{numbers['near_copies']:.1%}",
                f"{numbers['share_if_new']:.1%}",
                *(
                    _number(numbers[key])
                    for key in ("threshold", "median_of_samples", "median_of_validation")
                ),
            )
            for space, numbers in result["neighbours"].items()
        ]
        headings = ("by", "near copies", "if new", "nearer than", "median, samples", "median, validation")
        title = f"The nearest of {images['training']} of {images['training_in_all']} training images"
        yield Table(headings, rows, title)


def _name(result: Mapping[str, Any], number: str) -> str:
    """Return what a number of an evaluation is called."""
    return NAMES.get(number) or set_name(number, result["feature"], result["published"])


def _scales(result: Mapping[str, Any]) -> Table:
    """Return the table of reconstructions by the number of scales."""
    rows = result["scales"]
    numbers = [name for name in rows[0] if name not in ("scales", "tokens")]
    headings = [_name(result, name) for name in numbers]
    cells = [(str(r["scales"]), str(r["tokens"]), *(_number(r[name]) for name in numbers)) for r in rows]
    return Table(("scales", "tokens", *headings), cells, "Reconstructions by the number of scales")


def set_name(number: str, label: str, published: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return what a number of sets is called: with the feature's label, unless papers have a name for it."""
    return published.get(number) or f"{_SET_NAMES.get(number, number)}-{label}"


def report(result: Mapping[str, Any]) -> str:
    """Return the tables in Markdown, with how they were made."""
    parts = [f"# Evaluation of {result['model']}\n\nDataset: `{result['dataset']}`. {_protocol(result)}\n"]
    parts += [f"## {table.title}\n\n{markdown_table(table.headings, table.rows)}" for table in tables(result)]
    if "scales" in result:
        parts.append("![reconstructions by the number of scales](scales.svg)\n")
    if "neighbours" in result:
        parts.append(
            "![samples beside their nearest training images](neighbours.png)\n\n"
            "In threes: a sample, the training image that is nearest by features, the one nearest by pixels. "
            "From the sample nearest to a training image to the one farthest from any.\n"
        )
    return "\n".join(parts)


def _protocol(result: Mapping[str, Any]) -> str:
    """Return in words how the sets were made."""
    images = result["images"]
    text = (
        f"Features: {result['feature']}; FD and KID of other features are other numbers. Images are resized "
        "to cover the model's size, cropped at the centre and rounded to 8 bits. "
        f"Seed {result['seed']}."
    )
    if result["feature_was_loss"]:
        text += f" {JUDGE_WAS_LOSS}"
    if "samples" not in images:
        return text
    n, sampling = images["compared"], ", ".join(f"{k}={v}" for k, v in leaves(result["sampling"]))
    return (
        f"{text}\n\n{images['samples']} samples ({sampling}), with the class frequencies of the training "
        f"images; {n} of them are in the distances between sets (n / m: as many images, from as many). `real "
        f"images` is {n} training images, drawn at random, in the samples' place: the floor at these counts. "
        f"`training` is {images['training'] - n} others; `validation` is all {images['validation']} "
        "validation images. A near copy is nearer to its nearest training image than 99 of 100 validation "
        "images are to theirs; samples as new as the validation images have the share `if new` in the mean."
    )


def _number(value: float) -> str:
    return f"{value:.4g}"
