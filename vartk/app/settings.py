"""Sampling settings as widgets, made of the registry: any plugin's components and parameters are there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import gradio as gr

from vartk_registry import Registry
from vartk_registry.params import spelled

from ..config import AUTO, SamplingConfig, Slot

SLOTS = ("guidance", "sampler", "cache", "attention")
"""The replaceable parts of sampling that the page shows."""

PLAIN = ("precision", "random")
"""The other settings."""


def settings_panel(registry: Registry, defaults: SamplingConfig) -> gr.State:
    """Add the settings, and return the state that holds those that a user changed, by dotted key."""
    chosen = gr.State({})
    with gr.Accordion("Sampling settings", open=False):
        for kind in SLOTS:
            _slot(registry, kind, getattr(defaults, kind), chosen)
        for field in dataclasses.fields(SamplingConfig):
            if field.name in PLAIN:
                widget = _widget(field.name, field.metadata, getattr(defaults, field.name))
                widget.change(_setter(field.name), [chosen, widget], chosen)
    return chosen


def words(chosen: Mapping[str, Any]) -> list[str]:
    """Return settings as they are typed on the command line."""
    return [f"{key}={spelled(value)}" for key, value in chosen.items()]


def _slot(registry: Registry, kind: str, default: Slot, chosen: gr.State) -> None:
    """Add the choice of a component, and its parameters."""
    names = [*([AUTO] if default.name == AUTO else []), *registry.names(kind)]
    shown = default.name if default.name in names else names[0]
    name = gr.Dropdown(names, value=shown, label=kind, elem_id=f"settings-{kind}")

    def choose(given: dict[str, Any], value: str) -> dict[str, Any]:
        kept = {key: v for key, v in given.items() if key.partition(".")[0] != kind}
        return kept if value == default.name else {**kept, kind: value}

    name.change(choose, [chosen, name], chosen)

    @gr.render(inputs=[name])
    def parameters(value: str) -> None:
        if value == AUTO:
            return
        spec = registry.find(kind, value)
        gr.Markdown(spec.summary)
        config = registry.config_class(spec)
        given = default.params if value == default.name else {}
        for field in dataclasses.fields(config) if config else ():
            current = given.get(field.name, _default(field))
            widget = _widget(field.name, field.metadata, current)
            widget.change(_setter(f"{kind}.{field.name}"), [chosen, widget], chosen)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _setter(key: str) -> Any:
    def put(given: dict[str, Any], value: Any) -> dict[str, Any]:
        return {**given, key: value}

    return put


def _widget(name: str, rules: Mapping[str, Any], value: Any) -> Any:
    """Return the widget for a parameter: its range, its choices and its help."""
    about = {"label": name, "info": rules.get("help", "")}
    if rules.get("choices"):
        return gr.Dropdown(list(rules["choices"]), value=value, **about)
    if isinstance(value, bool):
        return gr.Checkbox(value, **about)
    if isinstance(value, (int, float)):
        low, high = rules.get("low"), rules.get("high")
        whole = isinstance(value, int)
        if low is not None and high is not None:
            return gr.Slider(low, high, value=value, step=1 if whole else 0.01, **about)
        return gr.Number(value, minimum=low, precision=0 if whole else None, **about)
    return gr.Textbox("" if value is None else spelled(value), **about)
