"""The tab that in-paints, edits and out-paints: paint what is to be drawn anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np
import torch
from PIL import Image

from vartk_registry import VartkError

from .models import Models, told
from .pictures import as_images, shown

NO_CLASS = "(none)"
PLACES = ("center", "left", "right", "top", "bottom")


def paint_tab(models: Models, history: gr.State) -> None:
    """Add the tab."""
    first = models.get(models.names[0])
    with gr.Row():
        with gr.Column(scale=1):
            name = gr.Dropdown(models.names, value=models.names[0], label="model")
            editor = gr.ImageEditor(
                type="pil",
                image_mode="RGBA",
                label="picture: paint over what is to be drawn anew",
                brush=gr.Brush(colors=["#ffffff"], color_mode="fixed"),
                elem_id="editor",
            )
            take = gr.Button("Take the last sample", elem_id="take")
            label = gr.Dropdown([NO_CLASS, *first.classes], value=NO_CLASS, label="class")
            composite = gr.Radio(("paste", "codes"), value="paste", label="composite")
            count = gr.Slider(1, 8, value=4, step=1, label="proposals")
            seed = gr.Number(0, label="seed", precision=0, minimum=0)
            with gr.Row():
                fill = gr.Button("In-paint", variant="primary", elem_id="inpaint")
                stop = gr.Button("Stop")
            canvas = gr.Dropdown(("2x1", "1x2", "2x2"), value="2x1", label="canvas, in sizes of the picture")
            place = gr.Dropdown(PLACES, value="left", label="place of the picture on it")
            around = gr.Button("Out-paint", elem_id="outpaint")
        with gr.Column(scale=2):
            gallery = gr.Gallery(
                label="proposals", columns=4, object_fit="contain", height="auto", elem_id="proposals"
            )

    @told
    def inpaint(name: str, drawing: Any, label: str, composite: str, count: int, seed: int) -> Iterator[Any]:
        model = models.get(name)
        picture, mask = _picture_and_mask(drawing)
        made = model.inpaint(
            as_images([picture] * int(count)),
            mask.expand(int(count), 1, *mask.shape[-2:]),
            None if label == NO_CLASS else [label] * int(count),
            seed=int(seed),
            composite=composite,
        )
        yield shown(made.images)

    @told
    def outpaint(
        name: str, drawing: Any, label: str, count: int, seed: int, canvas: str, place: str
    ) -> Iterator[Any]:
        model = models.get(name)
        picture, _ = _picture_and_mask(drawing, needs_mask=False)
        wide, high = (float(part) for part in canvas.split("x"))
        made = model.outpaint(
            as_images([picture] * int(count)),
            None if label == NO_CLASS else [label] * int(count),
            seed=int(seed),
            canvas=(wide, high),
            at=place,
        )
        yield shown(made.images)

    running = fill.click(inpaint, [name, editor, label, composite, count, seed], gallery)
    other = around.click(outpaint, [name, editor, label, count, seed, canvas, place], gallery)
    stop.click(None, cancels=[running, other])
    take.click(_last, history, editor)
    name.change(lambda name: gr.Dropdown(choices=[NO_CLASS, *models.get(name).classes]), name, label)


def _last(history: list[Image.Image]) -> Any:
    if not history:
        raise gr.Error("There is no sample yet: draw one in the tab Sample", print_exception=False)
    return {"background": history[0], "layers": [], "composite": None}


def _picture_and_mask(drawing: Any, *, needs_mask: bool = True) -> tuple[Image.Image, torch.Tensor]:
    """Return the picture of an editor, and where it was painted, [1, 1, H, W] in {0, 1}.

    Raises:
        VartkError: there is no picture, or nothing was painted.
    """
    if not drawing or drawing["background"] is None:
        raise VartkError("there is no picture: upload one, or take the last sample")
    picture = drawing["background"].convert("RGB")
    painted = np.zeros((picture.height, picture.width), bool)
    for layer in drawing["layers"]:
        painted |= np.array(layer.convert("RGBA").resize(picture.size))[..., 3] > 127
    if needs_mask and not painted.any():
        raise VartkError("nothing is painted: paint over what is to be drawn anew")
    return picture, torch.from_numpy(painted).float()[None, None]
