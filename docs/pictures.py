"""Draws the pictures of var.md with the model in the box: `python docs/pictures.py`."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

import vartk
from vartk.components import plugins
from vartk.images import enlarged, labelled_grid, tile, to_pil
from vartk_registry import MaskSpec
from vartk_registry.interfaces import CachePlan, Schedule

FOLDER = Path(__file__).parent / "images" / "var"
LABELS = ["smileys-noto", "food-noto", "flags-fluent-3d"]
SEED = 4
SEEN, HIDDEN = (0x1F, 0x77, 0xB4), (0xE8, 0xE8, 0xE8)
"""Colours of a key that a query sees, and of one that it does not see."""


def scales(model: vartk.Model) -> list[torch.Tensor]:
    """Return the images [N, 3, H, W] after each scale."""
    return [state.images.cpu() for state in model.stream(LABELS, seed=SEED)]


def growing(made: list[torch.Tensor], grids: list[str]) -> Image.Image:
    """Return a row for each image: what is there after each scale."""
    images = torch.stack(made, dim=1).flatten(0, 1)
    return labelled_grid(enlarged(images), grids * len(LABELS), columns=len(made))


def added(made: list[torch.Tensor]) -> Image.Image:
    """Return what each scale changes in the first image, around grey."""
    before = [torch.full_like(made[0], 0.5), *made[:-1]]
    changes = torch.cat([(after - old)[:1] for old, after in zip(before, made, strict=True)])
    return to_pil(tile(enlarged((changes / 2 + 0.5).clamp(0, 1)), columns=len(made)))


def drawn(seen: torch.Tensor, cell: tuple[int, int]) -> Image.Image:
    """Return booleans [rows, columns] as coloured cells of (height, width) pixels."""
    colours = torch.where(seen[..., None], torch.tensor(SEEN), torch.tensor(HIDDEN)).to(torch.uint8)
    big = colours.repeat_interleave(cell[0], 0).repeat_interleave(cell[1], 1)
    return Image.fromarray(big.numpy())


def kept(name: str, schedule: Schedule, **params: object) -> torch.Tensor:
    """Return which keys [steps, L] each scale sees under a cache strategy, by asking it."""
    plan = CachePlan(schedule, 1, 1, 1, 1, 1.0, torch.float32, torch.device("cpu"))
    state = plugins().registry.build("cache", name, params).start(plan)
    rows = torch.zeros(len(schedule), schedule.total, dtype=torch.bool)
    for step, (start, stop) in enumerate(schedule.spans):
        index = torch.arange(start, stop, dtype=torch.float32)[None, :, None, None]
        keys, _ = state.append(0, step, index, index.clone(), index.clone())
        rows[step, keys.flatten().long()] = True
    return rows


def main() -> None:
    """Write the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    model = vartk.load("emoji64", device="cpu")
    made, schedule = scales(model), Schedule.of([1, 2, 3, 4, 5])
    growing(made, [f"{h}x{w}" for h, w in model.schedule.grids]).save(FOLDER / "scales.png")
    added(made).save(FOLDER / "residuals.png")
    drawn(MaskSpec.scale_causal(schedule).dense(), (6, 6)).save(FOLDER / "mask.png")
    rows = [kept("full", schedule), kept("window", schedule), kept("sink", schedule, first=1)]
    gap = torch.zeros(1, schedule.total, dtype=torch.bool)
    stacked = torch.cat([part for row in rows for part in (row, gap)][:-1])
    drawn(stacked, (10, 10)).save(FOLDER / "caches.png")


if __name__ == "__main__":
    main()
