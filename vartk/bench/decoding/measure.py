"""Seconds and memory of decoding a latent, by the side of the tiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import TilingTokenizer

from ...engine.build import grid
from ...engine.device import as_device
from ...engine.inference.copies import prepared
from ...engine.inference.decoding import decoded
from ...engine.inference.precision import precision
from ...engine.model import Model
from ...hub import local_model
from ..memory import MEANING, Failed, peak_memory
from ..model import read_model
from ..psnr import psnr
from ..timing import Progress, finish, in_turns, spread

WHOLE = 0
"""In the place of a tile's side: the image is decoded whole."""

SMALLEST = (2, 2)
"""The latent that is decoded to learn what a model holds before it decodes a large one."""


class Decoding:
    """Decodes one random latent of a size, in tiles of a side or whole.

    Attributes:
        worked: the seconds that the processor computed in each call.
    """

    def __init__(self, model: Model, latent: tuple[int, int], tile: int) -> None:
        self._tile = tile or None
        self._inference = prepared(
            None, model.tokenizer, None, model.config.sampling.precision, compiled=False
        )
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(1, model.tokenizer.channels, *latent, generator=generator)
        self._latent_BCHW = drawn.to(model.device)
        self.worked: list[float] = []

    @torch.no_grad()
    def __call__(self) -> torch.Tensor:
        """Return the image [1, 3, H, W] in [-1, 1]."""
        start = time.process_time()
        image = decoded(self._inference.tokenizer, self._latent_BCHW, self._inference.precision, self._tile)
        finish(image.device)
        self.worked.append(time.process_time() - start)
        return image


def bench_decoding(
    name: str,
    overrides: Sequence[str],
    *,
    tiles: Sequence[int],
    repeats: int,
    device: str,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> dict[str, Any]:
    """Measure decoding one image in tiles of each side, and return the numbers, ready for JSON.

    Each image is first compared with that of the first row; then the rows are timed in turns. A row that has
    too little memory has a reason instead of numbers.

    Args:
        name: a preset or a YAML file, for random weights; or a model's folder, for its own.
        overrides: `key=value` settings of the configuration; `sampling.size` is the image's height and width.
        tiles: sides in pixels; 0 decodes the image whole.
        progress: called with what is done, the total, and what was done last.

    Raises:
        VartkError: no such model or device, or its tokenizer cannot decode in tiles or to this size.
    """
    where = as_device(device)
    model = read_model(name, overrides, predictor=False).to(where)
    size = grid(model.config.sampling.size or model.config.image_size, "size")
    latent = model.tokenizer.latent_grid(size)
    if any(tiles) and not isinstance(model.tokenizer, TilingTokenizer):
        raise VartkError(f"the tokenizer of {name} cannot decode in tiles; give --tiles 0 for whole images")
    candidates = {tile: Decoding(model, latent, tile) for tile in tiles}
    counted = Progress(progress, 1 + len(tiles) * (2 + repeats))
    peak = partial(_peak, repeats, where, name, overrides, str(where))
    held = peak(SMALLEST, WHOLE)
    counted.add("memory of the model")
    memory, refused = {}, {}
    for tile in tiles:
        try:
            memory[tile] = max(0, peak(latent, tile) - held)
        except Failed as error:
            refused[tile] = str(error)
        counted.add(f"memory of {shown(tile)}")
    agreement: dict[int, float | None] = {}
    first = None
    for tile in memory:
        image = candidates[tile]() / 2
        first = image if first is None else first
        agreement[tile] = psnr(image, first)
        candidates[tile].worked.clear()  # to warm up
        counted.add(f"warm-up of {shown(tile)}")
    seconds = in_turns(
        {shown(tile): candidates[tile] for tile in memory},
        repeats,
        where,
        lambda text: counted.add(f"time of {text}"),
    )
    rows: list[dict[str, Any]] = []
    for tile in tiles:
        if tile in refused:
            rows.append({"tile": tile, "refused": refused[tile]})
            continue
        rows.append(
            {
                "tile": tile,
                "seconds": asdict(spread(seconds[shown(tile)])),
                "processor_seconds": spread(candidates[tile].worked).median,
                "peak_memory_bytes": memory[tile],
                "psnr": agreement[tile],
            }
        )
    return {
        "benchmark": "decode",
        "model": name,
        "weights": "random" if local_model(name) is None else "the model's own",
        "size": list(size),
        "latent": list(latent),
        "precision": model.config.sampling.precision,
        "dtype": str(precision(model.config.sampling.precision, where).dtype).removeprefix("torch."),
        "repeats": repeats,
        "device": str(where),
        "threads": torch.get_num_threads(),
        "memory": MEANING[where.type],
        "rows": rows,
    }


def shown(tile: int) -> str:
    """Return what decoding in tiles of a side is called."""
    return "whole" if tile == WHOLE else str(tile)


def _peak(repeats: int, device: torch.device, *work: Any) -> int:
    """Return the median of the peaks in bytes: what a process holds at most depends on how it reuses gaps."""
    return round(spread([peak_memory(device, decode_once, *work) for _ in range(repeats)]).median)


def decode_once(name: str, overrides: Sequence[str], device: str, latent: tuple[int, int], tile: int) -> None:
    """Open a model and decode a latent: the memory of this is measured."""
    Decoding(read_model(name, overrides, predictor=False).to(device), latent, tile)()
