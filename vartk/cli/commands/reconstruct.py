"""vartk reconstruct: images through the tokenizer and back."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import terminal
from ..arguments import add_device, add_json, add_out, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, a run, or a published name")
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="image files")
    add_out(parser, "the folder for the reconstructions")
    add_device(parser)
    add_json(parser)
    examples(parser, "vartk reconstruct runs/tokenizer photo.png --out reconstructed")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Reconstruct and write the images."""
    from ...hub import load_scales
    from ...tasks.reconstruct import reconstruct_to_folder

    model = load_scales(arguments.model, device=arguments.device)
    rows = reconstruct_to_folder(model, arguments.images, arguments.out)
    if arguments.json:
        terminal.result({"images": rows, "out": str(arguments.out)}, as_json=True)
    else:
        lines = [(row["image"], f"{row['psnr_db']:.2f}", row["written"]) for row in rows]
        terminal.table(lines, ("image", "PSNR (dB)", "written"))
    return 0
