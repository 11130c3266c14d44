"""Parameters of the `text` conditioner."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class TextConfig:
    """Which encoder reads the text, and what of it is passed on."""

    encoder: str = param(
        "minilm",
        "minilm: all-MiniLM-L6-v2, which comes with vartk[text]; t5, clip: encoders of these families; "
        "random: a fixed random vector for each word, which needs no files, for measurements",
        choices=("minilm", "t5", "clip", "random"),
    )
    model: str | None = param(
        None,
        "a folder in the layout of transformers, or a name on the hub; if not given, the folder in "
        "vartk[text], google/flan-t5-xl, or openai/clip-vit-large-patch14",
    )
    length: int | None = param(
        None,
        "largest number of tokens, the rest of a prompt is cut; if not given, what the encoder was trained "
        "for: 256, 512 and 77, or 512",
        low=1,
    )
    vector: str = param(
        "mean",
        "the pooled vector: mean, of the tokens as the transformer gets them; learned, a layer of its own on "
        "the mean of the encoder's tokens, and a learned vector for the null condition",
        choices=("mean", "learned"),
    )
    tokens: bool = param(
        True, "pass on the tokens; if false, their mean alone, for transformers without text"
    )
