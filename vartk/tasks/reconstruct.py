"""Images through the tokenizer and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError

from ..engine.build import grid
from ..engine.codes import latents
from ..engine.data import fit, to_tensor
from ..engine.model import Model
from ..files import refuse_existing
from ..images import enlarged, open_image, save_image, tile


@torch.no_grad()
def reconstruct_to_folder(model: Model, images: Sequence[Path], folder: Path) -> list[dict[str, Any]]:
    """Write each image's reconstruction, and in `scales` a strip: the image, then after each scale.

    Returns a row an image: its name, its PSNR in dB, and the file written.

    Raises:
        VartkError: an image cannot be read, or `folder` exists.
    """
    refuse_existing(folder)
    names = [path.stem for path in images]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise VartkError(f"several images are called {', '.join(sorted(doubled))}; rename one of them")
    size = grid(model.config.image_size)
    opened = [fit(open_image(path), size) for path in images]  # all, before anything is written
    rows = []
    for path, image in zip(images, opened, strict=True):
        pixels = to_tensor(image)[None]
        steps = latents(model.tokenizer, model.encode(pixels), model.schedule)
        made = torch.cat([model.tokenizer.decode(f_hat).cpu() for f_hat in steps])
        quality = model.plugins.registry.build("metric", "psnr", {})
        quality.update((made[-1:] + 1) / 2, (pixels + 1) / 2)
        written = folder / f"{path.stem}.png"
        save_image((made[-1] + 1) / 2, written)
        strip = (torch.cat((pixels, made)) + 1) / 2
        save_image(tile(enlarged(strip), columns=len(strip)), folder / "scales" / f"{path.stem}.png")
        rows.append({"image": str(path), **quality.compute(), "written": str(written)})
    return rows
