"""Parameters of pipelines."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class Pipeline:
    """Parameters of `diffusers`."""

    path: str = param("", "folder of the pipeline, with its model_index.json, or its name on the hub")
    size: list[int] | None = param(None, "[height, width] in pixels; if not given, the pipeline's own", low=8)
    steps: int = param(50, "steps of a generation", low=1)
    guidance: float = param(7.5, "scale of classifier-free guidance", low=0)
    negative_prompt: str = param("", "what the images should not show, where the pipeline takes it")
