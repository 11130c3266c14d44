"""What images are to show: a class, or a prompt and its opposite, whatever a model takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..engine.blend import line_of, read_label
from ..engine.model import Model
from ..tasks.sample import negative_label
from .models import Models, told

NO_CLASS = "(none)"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an image is to show.

    Attributes:
        label: a class, a prompt, a blend, or a pair; None where the model takes neither, or no class was
            chosen.
        negative: what guidance leads away from, or None.
        words: the arguments of `vartk sample` for it.
    """

    label: Any
    negative: Any = None
    words: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of a model's methods beside the labels."""
        return {} if self.negative is None else {"negative": self.negative}

    def __str__(self) -> str:
        return f" of {line_of(self.label)}" if self.label else ""


class SubjectBoxes:
    """The boxes for a class, a prompt and a negative prompt; those that the chosen models take are seen.

    Args:
        models: of the page.
        names: the widgets that choose models among them.
        optional: whether a class can be left out.
        elem_id: of the box for classes; the prompt's is "ELEM_ID-prompt".
    """

    def __init__(
        self, models: Models, *names: gr.Dropdown, elem_id: str = "subject", optional: bool = False
    ) -> None:
        self._models, self._optional = models, optional
        classes, prompts = self._taken([models.names[0]])
        self.widgets: list[Any] = [
            gr.Dropdown(
                classes,
                value=classes[0] if classes else None,
                label="class",
                visible=bool(classes),
                elem_id=elem_id,
            ),
            gr.Textbox(
                label="prompt",
                info="what the image shows; empty for anything",
                visible=prompts,
                elem_id=f"{elem_id}-prompt",
            ),
            gr.Textbox(
                label="negative prompt",
                info="what the image does not show",
                visible=prompts,
                elem_id=f"{elem_id}-negative",
            ),
        ]
        for name in names:
            name.change(told(self._fitted), [*names, self.widgets[0]], self.widgets)

    def _fitted(self, *chosen: Any) -> Iterator[Any]:
        """Yield the boxes as the models that are chosen need them; the class stays if they have it."""
        *names, label = chosen
        classes, prompts = self._taken(names)
        kept = label if label in classes else classes[0] if classes else None
        box = gr.Dropdown(choices=classes, value=kept, visible=bool(classes))
        yield box, gr.Textbox(visible=prompts), gr.Textbox(visible=prompts)

    def _taken(self, names: list[str]) -> tuple[list[str], bool]:
        """Return the classes of models, each once, and whether some of them take prompts."""
        models = [self._models.get(name) for name in names]
        classes = [label for model in models if model.takes != "caption" for label in model.classes]
        known = list(dict.fromkeys(classes))
        optional = self._optional or any(model.takes == "both" for model in models)
        return [NO_CLASS, *known] if known and optional else known, any(map(_takes_prompts, models))


def subject_of(model: Model, label: str | None, prompt: str, negative: str) -> Subject:
    """Return what the boxes say to a model."""
    named = None if label in (None, NO_CLASS) else label
    of_class = ("--class", named) if named else ()
    if not _takes_prompts(model):
        return Subject(named, words=of_class)
    words = ("--prompt", prompt, *(("--negative-prompt", negative) if negative.strip() else ()))
    against = negative_label(model, negative) if negative.strip() else None
    wanted = read_label(prompt)
    if model.takes == "both":
        return Subject((named, wanted), against, (*of_class, *words))
    return Subject(wanted, against, words)


def _takes_prompts(model: Model) -> bool:
    return model.takes != "label"
