"""The models of a page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import gradio as gr

from vartk_registry import VartkError

from ..engine.model import Model
from ..hub import load_scales


class Models:
    """Models by name, each loaded when it is first used and shared by all users.

    Args:
        names: what `vartk.load` takes.
        device: where they compute.

    Raises:
        VartkError: the first one cannot be loaded.
    """

    def __init__(self, names: Sequence[str], device: str) -> None:
        self.names = list(dict.fromkeys(names))
        self._device = device
        self._loaded: dict[str, Model] = {}
        self._lock = threading.Lock()
        self.get(self.names[0])

    def get(self, name: str) -> Model:
        """Return a model; `VartkError` where it cannot be loaded, or is a tokenizer alone."""
        with self._lock:
            if name not in self._loaded:
                model = load_scales(name, device=self._device)
                _ = model.takes  # a tokenizer alone cannot sample: this says so
                self._loaded[name] = model
            return self._loaded[name]


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Show a user's mistake on the page with the message that the command line gives."""

    @wraps(function)
    def steps(*arguments: Any) -> Iterator[Any]:
        try:
            yield from function(*arguments)
        except VartkError as error:
            raise gr.Error(str(error), title="This cannot be done", print_exception=False) from error

    return steps
