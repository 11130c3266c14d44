"""The tab that looks into a model: scales, residuals, codes, attention, caches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import torch
from PIL import Image

from vartk_registry import VartkError
from vartk_registry.caches import Measuring
from vartk_registry.interfaces import CachePlan

from ..components import plugins
from ..engine.build import grid
from ..engine.codes import latents
from ..engine.data import fit
from ..engine.model import Model
from .models import Models, told
from .pictures import as_images, shown
from .subject import Subject, SubjectBoxes, subject_of


class Looking(Measuring):
    """A lossless cache that sees where the last token of the last scale looks, by layer and scale."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    def measure(self, plan: CachePlan, layer: int, step: int, q: torch.Tensor, k: torch.Tensor) -> None:
        """Take in the attention of the last query, the mean over heads, of the first image."""
        if step + 1 < len(plan.schedule):
            return
        scores_HT = torch.einsum("hd,thd->ht", q[0, -1].float(), k[0].float()) * plan.scale
        shares_T = scores_HT.softmax(-1).mean(0)
        self.rows.append([float(shares_T[slice(*span)].sum()) for span in plan.schedule.spans])

    def parameters(self) -> dict[str, Any]:
        """Return nothing: it is for looking."""
        return {}


def inspect_tab(models: Models, history: gr.State) -> None:
    """Add the tab."""
    with gr.Row():
        with gr.Column(scale=1):
            name = gr.Dropdown(models.names, value=models.names[0], label="model")
            picture = gr.Image(type="pil", label="picture", elem_id="inspected")
            take = gr.Button("Take the last sample")
            look = gr.Button("Show its scales", variant="primary", elem_id="scales")
            boxes = SubjectBoxes(models, name, elem_id="looked-at")
            attend = gr.Button("Show attention and caches of a sample", elem_id="attention")
        with gr.Column(scale=2):
            scales = gr.Gallery(
                label="the image after each scale", columns=8, height="auto", elem_id="after-scales"
            )
            rests = gr.Gallery(label="what each scale adds (grey is nothing)", columns=8, height="auto")
            usage = gr.Dataframe(label="codes", elem_id="usage")
            attention = gr.Dataframe(label="attention of the last token, % on each scale, by layer")
            caches = gr.Dataframe(label="the most that each cache strategy keeps of one sample")

    @told
    def show(name: str, picture: Image.Image | None) -> Iterator[Any]:
        if picture is None:
            raise VartkError("there is no picture: upload one, or take the last sample")
        yield _scales(models.get(name), picture)

    @told
    def looked(name: str, *boxes: Any) -> Iterator[Any]:
        model = models.get(name)
        subject = subject_of(model, *boxes)
        strategy = Looking()
        for _ in model.stream([subject.label], strategy=strategy, **subject.settings):
            pass
        heads = ["layer", *(f"{h}x{w}" for h, w in model.schedule.grids)]
        rows = [
            [layer, *(round(100 * share, 1) for share in shares)]
            for layer, shares in enumerate(strategy.rows)
        ]
        yield gr.Dataframe(rows, headers=heads), gr.skip()
        yield gr.skip(), gr.Dataframe(_kept(model, subject), headers=["cache", "KiB", "% of all"])

    look.click(show, [name, picture], [scales, rests, usage])
    attend.click(looked, [name, *boxes.widgets], [attention, caches])
    take.click(lambda history: history[0] if history else None, history, picture)


def _scales(model: Model, picture: Image.Image) -> tuple[Any, Any, Any]:
    """Return the image after each scale, what each one adds, and the codes that each one has."""
    image = as_images([fit(picture.convert("RGB"), grid(model.config.image_size))]).to(model.device)
    codes = model.encode(image)
    with torch.no_grad():
        steps = [model.tokenizer.decode(f_hat) for f_hat in latents(model.tokenizer, codes, model.schedule)]
    before = [torch.zeros_like(steps[0]), *steps[:-1]]
    added = [(after - earlier) / 2 + 0.5 for after, earlier in zip(steps, before, strict=True)]
    rows = [
        [f"{h}x{w}", each[0].shape[0], len(each[0].unique(dim=0))]
        for (h, w), each in zip(model.schedule.grids, codes, strict=True)
    ]
    table = gr.Dataframe(rows, headers=["scale", "codes", "different ones"])
    return shown((torch.cat(steps) + 1) / 2), shown(torch.cat(added)), table


def _kept(model: Model, subject: Subject) -> list[list[Any]]:
    """Return the most that each cache strategy holds after a scale."""
    held: dict[str, int] = {}
    for cache in plugins().registry.names("cache"):
        try:
            for state in model.stream([subject.label], cache=cache, **subject.settings):
                held[cache] = max(held.get(cache, 0), state.cache_bytes)
        except VartkError:  # it is for other models
            continue
    return [[cache, round(size / 2**10), round(100 * size / held["full"], 1)] for cache, size in held.items()]
