"""What is known of the template of each kind, besides its files in `kinds/KIND/`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Template:
    """A component that a new plugin begins with.

    Attributes:
        summary: one line, as `vartk list` prints it.
        use: a command line that uses it; `my-name` stands for its name.
        check_with: small parameters for the conformance kit.
    """

    summary: str
    use: str
    check_with: dict[str, Any] = field(default_factory=dict)


_SAMPLE = "vartk sample emoji64 {} --class food --out samples"
_TOKENIZER = "vartk train tokenizer demo {} --out runs/tokenizer"
_TRANSFORMER = "vartk train transformer demo {} --tokenizer runs/tokenizer --out runs/transformer"
_EVAL = "vartk eval emoji64 {}"

TEMPLATES = {
    "schedule": Template(
        "each scale is the next finer one, divided by a ratio", _TOKENIZER.format("schedule=my-name")
    ),
    "quantizer": Template("the nearest entry of a learned codebook", _TOKENIZER.format("quantizer=my-name")),
    "tokenizer": Template(
        "patches, quantised residually scale by scale", _TOKENIZER.format("tokenizer=my-name")
    ),
    "transformer": Template(
        "pre-norm blocks with the condition added to each token",
        _TRANSFORMER.format("transformer=my-name"),
        {"depth": 2, "width": 32, "heads": 2},
    ),
    "conditioner": Template("a learned vector for each class", _TRANSFORMER.format("conditioner=my-name")),
    "generator": Template(
        "rectified flow on pixels",
        "vartk train generator emoji64 generator=my-name --tokenizer emoji64 --out runs/generator",
    ),
    "attention": Template("a few queries at a time", _SAMPLE.format("attention=my-name")),
    "cache": Template("keeps the keys and values of the newest scales", _SAMPLE.format("cache=my-name")),
    "guidance": Template("strength that grows with the scale", _SAMPLE.format("guidance=my-name")),
    "sampler": Template(
        "draws from the codes that are not much less probable than the best",
        _SAMPLE.format("sampler=my-name"),
    ),
    "dataset": Template("drawn discs in three colours", _TOKENIZER.format("dataset=my-name")),
    "feature": Template("the images themselves at a small size", _EVAL.format("feature=my-name")),
    "discriminator": Template(
        "convolutions with a logit for each patch",
        _TOKENIZER.format("train.tokenizer.adversarial=my-name"),
    ),
    "metric": Template("mean absolute error in levels of 8 bits", "vartk show metric/my-name"),
    "logger": Template(
        "numbers and pictures as files in the run folder",
        _TOKENIZER.format("train.tokenizer.logger=my-name"),
    ),
    "importer": Template(
        "reads safetensors files whose weights have a prefix",
        "vartk convert --from my-name --tokenizer FILE --out model",
    ),
}
