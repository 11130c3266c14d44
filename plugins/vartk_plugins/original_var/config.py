"""What the original's files do not say."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class VarImporterConfig:
    """Parameters of the `var` importer."""

    heads: int | None = param(
        None, "attention heads of a model without l2-norm; if not given, width / 64", low=1
    )
    cosine: bool = param(False, "true if the tokenizer was trained with using_znorm (cosine similarity)")
    schedule: list[int] | None = param(
        None, "sides of the scales; needed if the file lacks the buffer that holds them"
    )
    ema: bool = param(
        False, "where a file has both, take the EMA weights, and not the plain ones that it was trained with"
    )


@dataclass(kw_only=True, slots=True)
class InfinityImporterConfig:
    """Parameters of the `infinity` importer."""

    image_size: list[int] | None = param(
        None,
        "[height, width] in pixels; if not given, 256x256 for the model of depth 12, else 1024x1024",
        low=1,
    )
    text_encoder: str | None = param(
        None, "the T5 that reads texts, a folder or a name on the hub; if not given, google/flan-t5-xl"
    )
    ema: bool = param(
        False, "where a file has both, take the EMA weights, and not the plain ones that it was trained with"
    )
