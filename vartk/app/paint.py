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
from .subject import SubjectBoxes, subject_of

PLACES = ("center", "left", "right", "top", "bottom")


def paint_tab(models: Models, history: gr.State) -> None:
    """Add the tab."""
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
            boxes = SubjectBoxes(models, name, elem_id="painted", optional=True)
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
    def inpaint(drawing: Any, composite: str, count: int, seed: int, name: str, *boxes: Any) -> Iterator[Any]:
        model = models.get(name)
        picture, mask = _picture_and_mask(drawing)
        subject = subject_of(model, *boxes)
        made = model.inpaint(
            as_images([picture] * int(count)),
            mask.expand(int(count), 1, *mask.shape[-2:]),
            [subject.label] * int(count),
            seed=int(seed),
            composite=composite,
            **subject.settings,
        )
        yield shown(made.images)

    @told
    def outpaint(
        drawing: Any, count: int, seed: int, canvas: str, place: str, name: str, *boxes: Any
    ) -> Iterator[Any]:
        model = models.get(name)
        subject = subject_of(model, *boxes)
        picture, _ = _picture_and_mask(drawing, needs_mask=False)
        wide, high = (float(part) for part in canvas.split("x"))
        made = model.outpaint(
            as_images([picture] * int(count)),
            [subject.label] * int(count),
            seed=int(seed),
            canvas=(wide, high),
            at=place,
            **subject.settings,
        )
        yield shown(made.images)

    wanted = [name, *boxes.widgets]
    running = fill.click(inpaint, [editor, composite, count, seed, *wanted], gallery)
    other = around.click(outpaint, [editor, count, seed, canvas, place, *wanted], gallery)
    stop.click(None, cancels=[running, other])
    take.click(_last, history, editor)


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
