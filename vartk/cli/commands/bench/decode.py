"""vartk bench decode: decoding, whole and in tiles."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from vartk_registry import VartkError

from ...arguments import add_device, add_json, add_overrides, add_size, examples, whole_number
from .output import add_file, refuse_existing_files, show

EXAMPLES = (
    "vartk bench decode emoji64 --tiles 0,256 --size 512",
    "vartk bench decode emoji64 --tiles 0,256,128 --size 768x768 --out benchmarks/results/HARDWARE_YYYYMM.md",
    "vartk bench decode var-d16 sampling.precision=bf16 --size 1024 --tiles 0,256 --json",
)


def add(benchmarks: Any) -> None:
    """Add the sub-command."""
    decode = benchmarks.add_parser(
        "decode",
        help="decoding one image: time and memory, whole and in tiles",
        description=(
            "Decode a random latent whole and in tiles (decode_tile): time, memory, and how alike the\n"
            "images are. A preset or a YAML file gets random weights, a model folder has its own."
        ),
    )
    decode.add_argument("model", metavar="MODEL_OR_CONFIG", help="a preset, a YAML file, or a model's folder")
    add_overrides(decode, "sampling.precision=bf16")
    decode.add_argument(
        "--tiles",
        default="0,256",
        metavar="N,M",
        help="sides of the tiles in pixels; 0 is the whole image. Images are compared with the first one's "
        "(default: %(default)s)",
    )
    add_size(decode, "sampling.size=[H,W]")
    decode.add_argument(
        "--repeats", type=whole_number(1, 1000), default=3, metavar="N", help="images per row (default: 3)"
    )
    add_file(decode)
    add_device(decode)
    add_json(decode)
    decode.set_defaults(run=run)
    examples(decode, *EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Time decoding with each side."""
    refuse_existing_files(arguments.out)
    tiles = list(dict.fromkeys(_side(text) for text in arguments.tiles.split(",")))
    overrides = list(arguments.overrides)
    if arguments.size is not None:
        overrides.append("sampling.size=[{},{}]".format(*arguments.size))
    from ....bench.decoding.measure import bench_decoding
    from ....bench.decoding.report import report
    from ...progress import bars

    with bars() as add_bar:
        bar = add_bar("bench decode", 1 + len(tiles) * (2 + arguments.repeats))
        result = bench_decoding(
            arguments.model,
            overrides,
            tiles=tiles,
            repeats=arguments.repeats,
            device=arguments.device,
            progress=lambda done, total, text: bar.update(done, text),
        )
    words = ["vartk", "bench", "decode", arguments.model, *overrides, "--tiles", ",".join(map(str, tiles))]
    words += ["--repeats", str(arguments.repeats), "--device", result["device"]]
    show(result, report(result), shlex.join(words), arguments)
    return 0


def _side(text: str) -> int:
    """Return the side of tiles, 0 for a whole image."""
    text = text.strip()
    if not (text.isascii() and text.isdecimal()) or 0 < int(text) < 8:
        raise VartkError(
            f"--tiles {text!r} is no side of tiles; give pixels, at least 8, or 0 for the whole image, as in "
            "--tiles 0,256"
        )
    return int(text)
