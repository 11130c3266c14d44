"""A generator around a pipeline of diffusers."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from vartk_registry import VartkError, class_index, shown
from vartk_registry.interfaces import Generated, Grid, Tokenizer


class Pipeline(nn.Module):
    """A pipeline that makes images of prompts, or of classes as DiT's.

    Its weights are read from safetensors files alone: pickles could run code.

    Args:
        path, size, steps, guidance, negative_prompt: fields of `config.Pipeline`.
        classes, image_size, tokenizer: not used, since a pipeline has its own.

    Raises:
        VartkError: there is no such pipeline, or it takes neither prompts nor classes.
    """

    at_call: ClassVar[tuple[str, ...]] = ("steps", "guidance", "negative_prompt")

    def __init__(
        self,
        *,
        path: str,
        size: list[int] | None,
        steps: int,
        guidance: float,
        negative_prompt: str,
        classes: Sequence[str],
        image_size: Grid,
        tokenizer: Tokenizer | None,
    ) -> None:
        super().__init__()
        pipeline = _read(path)
        pipeline.set_progress_bar_config(disable=True)
        self._pipeline = pipeline
        self._takes = set(inspect.signature(pipeline.__call__).parameters)
        if not self._takes & {"prompt", "class_labels"}:
            raise VartkError(
                f"generator 'diffusers': {path} is a {type(pipeline).__name__}, which takes neither prompts "
                "nor classes"
            )
        self.takes = "caption" if "prompt" in self._takes else "label"
        self.choices = [] if self.takes == "caption" else _labels(pipeline)
        self.image_size: Grid = _native_size(pipeline) if size is None else _pair(size)
        if size is not None and "height" not in self._takes:
            raise VartkError(
                f"generator 'diffusers': a {type(pipeline).__name__} has one size; leave size out"
            )
        for name, part in pipeline.components.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part.eval())

    def parse(self, values: Sequence[Any]) -> list[Any]:
        """Return prompts; or, for a pipeline of classes, their indices."""
        if self.takes == "caption":
            wrong = [value for value in values if not isinstance(value, str)]
            if wrong:
                raise VartkError(f"{shown(wrong[0])} is no prompt; give a text")
            return list(values)
        return [class_index(value, self.choices) for value in values]

    def generate(
        self,
        conditions: list[Any],
        seeds: Sequence[int],
        *,
        steps: int,
        guidance: float,
        negative_prompt: str,
    ) -> Iterator[Generated]:
        """Yield the whole generation as one step: a pipeline shows nothing before its end."""
        sides = dict(zip(("height", "width"), self.image_size, strict=True))
        settings: dict[str, Any] = {
            "num_inference_steps": steps,
            "guidance_scale": guidance,
            "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
            **{key: side for key, side in sides.items() if key in self._takes},
        }
        if negative_prompt:
            if "negative_prompt" not in self._takes:
                name = type(self._pipeline).__name__
                raise VartkError(f"generator 'diffusers': a {name} takes no negative_prompt; leave it out")
            settings["negative_prompt"] = [negative_prompt] * len(conditions)
        settings["prompt" if self.takes == "caption" else "class_labels"] = conditions
        # DiT's gives arrays alone; [B, H, W, 3] in [0, 1]
        made = self._pipeline(**settings, output_type="np").images
        images = torch.from_numpy(made).permute(0, 3, 1, 2)
        yield Generated(0, 1, lambda: images)


def _read(path: str) -> Any:
    """Return the pipeline of a folder, or of a name on the hub."""
    from diffusers import DiffusionPipeline
    from diffusers.utils import logging

    logging.disable_progress_bar()
    if not path:
        raise VartkError("generator 'diffusers' needs generator.path: a pipeline's folder, or its hub name")
    if os.path.isdir(path) and not os.path.isfile(os.path.join(path, "model_index.json")):
        raise VartkError(f"generator.path={path} is no pipeline of diffusers: it has no model_index.json")
    try:
        here = os.path.isdir(path)
        return DiffusionPipeline.from_pretrained(
            path, use_safetensors=True, local_files_only=here, low_cpu_mem_usage=False
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise VartkError(f"generator.path={path} is no pipeline that can be read: {reason}") from error


def _native_size(pipeline: Any) -> Grid:
    """Return the size that a pipeline makes by default."""
    network = getattr(pipeline, "unet", None) or pipeline.transformer
    factor = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    side = network.config.sample_size * factor
    return side, side


def _pair(size: list[int]) -> Grid:
    if len(size) != 2:
        raise VartkError(f"generator.size={size} must be [height, width]")
    return size[0], size[1]


def _labels(pipeline: Any) -> list[str]:
    """Return the names of the classes by index, digits where the pipeline has none."""
    count = pipeline.transformer.config.num_embeds_ada_norm
    names = {index: name for name, index in getattr(pipeline, "labels", {}).items()}
    return [names.get(index, str(index)) for index in range(count)]
