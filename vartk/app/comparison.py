"""The tab that compares two ways to sample: the same class or prompt and seed, side by side."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from ..config import parse_overrides
from .models import Models, told
from .pictures import shown
from .subject import SubjectBoxes, subject_of


def compare_tab(models: Models) -> None:
    """Add the tab."""
    subject_row = gr.Row()
    with gr.Row():
        seed = gr.Number(0, label="seed", precision=0, minimum=0)
        count = gr.Slider(1, 8, value=4, step=1, label="images")
    sides = []
    with gr.Row():
        for index, default in enumerate(("", "cache=window")):
            with gr.Column():
                name = gr.Dropdown(
                    models.names, value=models.names[0], label="model", elem_id=f"model-{index}"
                )
                settings = gr.Textbox(
                    default,
                    label="settings",
                    info="as on the command line: key=value ...",
                    elem_id=f"way-{index}",
                )
                gallery = gr.Gallery(
                    columns=4, object_fit="contain", label="images", elem_id=f"images-{index}"
                )
                numbers = gr.Markdown(elem_id=f"numbers-{index}")
                sides.append((name, settings, gallery, numbers))
    with subject_row:
        boxes = SubjectBoxes(models, *(side[0] for side in sides), elem_id="compared")
    with gr.Row():
        start = gr.Button("Compare", variant="primary", elem_id="compare")
        stop = gr.Button("Stop")

    @told
    def run(seed: int, count: int, *given: Any) -> Iterator[Any]:
        ways, subject = given[:4], given[4:]
        shows: list[Any] = [gr.skip()] * 4
        for index in range(2):
            name, settings = ways[2 * index : 2 * index + 2]
            model = models.get(name)
            wanted = subject_of(model, *subject)
            typed = {**parse_overrides(settings.split()).values, **wanted.settings}
            begun, most = time.perf_counter(), 0
            for state in model.stream([wanted.label] * int(count), seed=int(seed), **typed):
                most = max(most, state.cache_bytes)
            images = shown(state.images)
            took = (time.perf_counter() - begun) / int(count)
            shows[2 * index : 2 * index + 2] = [
                images,
                f"{took:.3g} s an image, {most / int(count) / 2**20:.3g} MiB of keys and values an image",
            ]
            yield tuple(shows)

    inputs = [seed, count, *(part for side in sides for part in side[:2]), *boxes.widgets]
    running = start.click(run, inputs, [part for side in sides for part in side[2:]])
    stop.click(None, cancels=[running])
