"""What the original's files do not say."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class VarImporterConfig:
    """Parameters of the `var` importer."""

    heads: int | None = param(
        None, "attention heads of a model without l2-norm; width / 64 where not given", low=1
    )
    cosine: bool = param(False, "the tokenizer was trained with using_znorm, by cosine similarity")
    schedule: list[int] | None = param(
        None, "sides of the scales, where the file lacks the buffer that tells them"
    )
    ema: bool = param(
        False, "where a file has both, take the EMA weights, and not the plain ones that it was trained with"
    )
