"""The tab that samples: each image sharpens scale by scale as it is drawn."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from vartk_registry import counted

from ..components import plugins
from .models import Models, told
from .pictures import shown
from .settings import settings_panel, words
from .subject import Subject, SubjectBoxes, subject_of

HISTORY = 64
"""Images that a user's history holds."""


def sample_tab(models: Models, history: gr.State) -> None:
    """Add the tab; `history` collects what a user has drawn."""
    first = models.get(models.names[0])
    with gr.Row():
        with gr.Column(scale=1):
            name = gr.Dropdown(models.names, value=models.names[0], label="model", elem_id="model")
            boxes = SubjectBoxes(models, name)
            seed = gr.Number(
                0, label="seed", precision=0, minimum=0, info="the same seed gives the same image"
            )
            count = gr.Slider(
                1, 16, value=4, step=1, label="images", info="their seeds count up from the seed"
            )
            with gr.Row():
                start = gr.Button("Sample", variant="primary", elem_id="sample")
                stop = gr.Button("Stop", elem_id="stop")
            chosen = settings_panel(plugins().registry, first.config.sampling)
        with gr.Column(scale=2):
            status = gr.Markdown(elem_id="status")
            gallery = gr.Gallery(
                label="images", columns=4, object_fit="contain", height="auto", elem_id="samples"
            )
            with gr.Accordion("The same on the command line and in Python", open=False):
                command = gr.Code(language="shell", label="command", elem_id="command")
                python = gr.Code(language="python", label="Python", elem_id="python")
            past = gr.Gallery(label="history", columns=8, height="auto", elem_id="history")

    @told
    def run(
        seed: int, count: int, chosen: Mapping[str, Any], drawn: list[Any], name: str, *boxes: Any
    ) -> Iterator[Any]:
        model, count, seed = models.get(name), int(count), int(seed)
        subject = subject_of(model, *boxes)
        typed = _typed(name, subject, seed, count, chosen)
        for state in model.stream([subject.label] * count, seed=seed, **subject.settings, **chosen):
            pictures = shown(state.images)
            yield f"{state.place}", pictures, *typed, gr.skip(), gr.skip()
        drawn = [*pictures, *drawn][:HISTORY]
        yield f"{counted(count, 'image')}{subject}", pictures, *typed, drawn, drawn

    inputs = [seed, count, chosen, history, name, *boxes.widgets]
    running = start.click(run, inputs, [status, gallery, command, python, history, past])
    stop.click(lambda: "stopped", None, status, cancels=[running], queue=False)


def _typed(name: str, subject: Subject, seed: int, count: int, chosen: Mapping[str, Any]) -> tuple[str, str]:
    """Return the command line and the Python that draw the same images."""
    parts = ["vartk", "sample", name, *words(chosen), *subject.words]
    command = shlex.join([*parts, "--count", str(count), "--seed", str(seed), "--out", "samples"])
    settings = "".join(f", {key}={value!r}" for key, value in subject.settings.items())
    settings += f", **{dict(chosen)!r}" if chosen else ""
    python = (
        f"import vartk\n\nmodel = vartk.load({name!r})\n"
        f"samples = model.sample([{subject.label!r}] * {count}, seed={seed}{settings})\n"
    )
    return command, python
