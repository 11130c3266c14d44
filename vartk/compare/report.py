"""A comparison's numbers as tables, for the terminal and for `compare.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vartk_registry import counted

from ..bench.chart import short
from ..config import leaves
from ..engine.blend import title_of
from ..environment import environment
from ..evaluation.report import set_name
from ..files import file_name, whole_file
from ..images import save_image, strip, strips
from ..tables import Table, markdown_table
from .comparison import Comparison
from .pictures import shown_rows
from .plot import pareto, subject

NONE = "-"

PROCESSOR = (
    "The processor's seconds are those that this process computed, summed over its threads. Other programs "
    "on the machine change them less than the seconds that pass."
)


def write_comparison(comparison: Comparison, result: Mapping[str, Any], out: Path) -> None:
    """Write `compare.json`, `compare.md`, `pareto.svg` and pictures of some images into a folder."""
    rows = shown_rows(result["labels"])
    images = {way.name: comparison.shown(way, rows) for way in comparison.ways}
    labels, classes = [result["labels"][row] for row in rows], comparison.model.classes
    names = [title_of(label, classes) for label in labels]
    for name, own in images.items():
        save_image(strip(own), out / "strips" / f"{file_name(name)}.png")
    save_image(strips(images, names), out / "strips.png")
    for name, content in (
        ("pareto.svg", pareto(result)),
        ("compare.md", report(result, dict(environment()))),
        ("compare.json", json.dumps(result, indent=1)),
    ):
        with whole_file(out / name) as aside:
            aside.write_text(content)


def tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of a result."""
    ways = result["ways"]
    yield Table(("way", "settings"), list(_settings(result)), "Ways")
    yield Table(
        tuple(_speed(ways[0], ways[0])),
        [tuple(_speed(way, ways[0]).values()) for way in ways],
        "Speed and memory",
    )
    close = {
        "codes alike": "codes_alike",
        "images equal": "images_equal",
        "PSNR (dB)": "psnr_db",
        "SSIM": "ssim",
    }
    if result["feature"] is not None:
        close["perceptual distance"] = "perceptual"
    rows = [(way["name"], *(_number(way.get(key), key) for key in close.values())) for way in ways[1:]]
    if rows:
        yield Table(("way", *close), rows, f"Images, beside those of {ways[0]['name']}")
    if "real_images" in result:
        real = {"name": "real images", **result["real_images"]}
        metrics = [name for name in real if name not in ("name", "n", "m")]
        rows = [(row["name"], *(_number(row[name], name) for name in metrics)) for row in (*ways, real)]
        names = [set_name(name, result["feature"]) for name in metrics]
        yield Table(
            ("images", *names),
            rows,
            f"{real['n']} images, from {real['m']} training images of {result['dataset']}",
        )


def notes(result: Mapping[str, Any]) -> list[str]:
    """Return why numbers are missing."""
    lines = [f"{what} left out: {why}" for what, why in result["left_out"].items()]
    refused = {
        way["name"]: way["peak_memory_refused"] for way in result["ways"] if "peak_memory_refused" in way
    }
    return lines + [f"No peak memory of {way}: {why}" for way, why in refused.items()]


def report(result: Mapping[str, Any], machine: Mapping[str, str]) -> str:
    """Return the page: the command, the protocol, the tables, the pictures and the machine."""
    parts = [
        f"# vartk compare {result['model']}\n\n```bash\n{result['command']}\n```\n\n{protocol(result)}\n"
    ]
    parts += [f"## {table.title}\n\n{markdown_table(table.headings, table.rows)}" for table in tables(result)]
    parts += ["\n".join(f"- {line}" for line in notes(result)) + "\n"] if notes(result) else []
    parts.append(
        f"![{subject(result)}](pareto.svg)\n\n"
        "The same labels and seeds in every way:\n\n![images by each way](strips.png)\n"
    )
    parts.append(f"## Machine\n\n{markdown_table(('what', 'value'), machine.items())}")
    return "\n".join(parts)


def protocol(result: Mapping[str, Any]) -> str:
    """Return in words how the numbers were made."""
    first, count = result["ways"][0]["name"], result["count"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    real = result.get("real_images")
    labels = "with the class frequencies of the training images" if real else "labels in turn"
    parts = [
        f"{counted(count, 'image')} a way, {labels}, the same labels and seeds (from {result['seed']} up) in "
        f"every way, in batches of {result['batch']} on {result['device']} with "
        f"{counted(result['threads'], 'thread')}; {versions}.",
        "After a warm-up, each batch is sampled in every way before the next one: seconds are medians over "
        "full batches. The transformer's hold guidance, draws and the tokenizer's accumulation. KV is the "
        "most that the cache holds after a scale is drawn, for both halves of guidance. Peak memory is "
        f"{result['memory']}.",
        *([PROCESSOR] if "processor_seconds" in result["ways"][0] else []),
        f"Images are rounded to 8 bits and compared with those of {first}; codes of scales that are not "
        "generated count as different, and PSNR is the mean over the images that differ.",
    ]
    if any("refiner" in way for way in result["ways"]):
        parts.append(
            "A way with a refiner goes over to that model after the scales of its draft; its transformer's "
            "seconds are those of both, and its KV is the model's that holds more, for one is freed before "
            "the other begins."
        )
    if result["weights"] == "random":
        parts.append(
            "The weights are random, the same in every run: seconds, bytes and memory are those of any "
            "weights (but for a cache that keeps keys by what they are); codes and images say how far a way "
            "departs from what the first one computes, not how good its images are."
        )
    if real:
        parts.append(
            f"Distances between sets are from {real['m']} training images, drawn at random; `real images` "
            f"are {real['n']} others in the samples' place, the floor at these counts."
        )
    return " ".join(parts)


def _settings(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each way with its settings: all of the first, of the others and of refiners those that differ."""
    first = dict(leaves(result["ways"][0]["sampling"]))
    for index, way in enumerate(result["ways"]):
        own = dict(leaves(way["sampling"]))
        shown = {key: value for key, value in own.items() if not index or first.get(key) != value}
        if refiner := way.get("refiner"):
            theirs = dict(leaves(refiner["sampling"]))
            differ = {f"refiner.{k}": v for k, v in theirs.items() if own.get(k) != v}
            shown = {"refiner": refiner["model"], "draft": refiner["draft"], **shown, **differ}
        yield way["name"], " ".join(f"{k.removesuffix('.name')}={v}" for k, v in shown.items()) or "the same"


def _speed(way: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, str]:
    """Return a way's cells by their headings; the processor's time is counted on a CPU alone."""
    seconds, memory, worked = way["seconds_per_image"], way["peak_memory_bytes"], way.get("processor_seconds")
    cells = {
        "way": way["name"],
        "s / image": f"{seconds['median']:.3g}",
        "lowest to highest": f"{seconds['low']:.3g} to {seconds['high']:.3g}",
        "speed-up": f"{way['speedup']:.2f} x",
        "transformer": f"{way['transformer_seconds']:.3g} ({way['transformer_speedup']:.2f} x)",
        "decoder": f"{way['decoder_seconds']:.3g}",
    }
    if worked:
        speedup = first["processor_seconds"]["transformer"] / worked["transformer"]
        cells["processor, transformer"] = f"{worked['transformer']:.3g} ({speedup:.2f} x)"
    return cells | {
        "KV / image": f"{short(way['cache_bytes_per_image'] / 2**20)} MiB",
        "peak memory": NONE if memory is None else f"{memory / 2**30:.2f} GiB",
    }


def _number(value: float | None, key: str) -> str:
    if value is None:
        return "equal" if key == "psnr_db" else NONE
    return f"{value:.2%}" if key in ("codes_alike", "images_equal") else f"{value:.4g}"
