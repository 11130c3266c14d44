"""The kinds of component that vartk composes by name, each with the interface it must offer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of component: what it does, and the protocol ("module:class") it must follow."""

    name: str
    summary: str
    interface: str


_INTERFACES = "vartk_registry.interfaces"

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "schedule",
            "the grids an image is made of, coarse to fine",
            f"{_INTERFACES}.schedule:ScheduleFactory",
        ),
        Kind(
            "quantizer",
            "vectors to codes and back, with its loss",
            f"{_INTERFACES}.quantizer:Quantizer",
        ),
        Kind("tokenizer", "image to scale codes and back", f"{_INTERFACES}.tokenizer:Tokenizer"),
        Kind(
            "transformer",
            "predicts each scale's codes from the coarser ones",
            f"{_INTERFACES}.transformer:Transformer",
        ),
        Kind(
            "conditioner",
            "class labels, text or nothing as conditions",
            f"{_INTERFACES}.conditioner:Conditioner",
        ),
        Kind(
            "attention",
            "computes attention for a described mask",
            f"{_INTERFACES}.attention:AttentionBackend",
        ),
        Kind(
            "cache",
            "which keys and values are kept, which tokens are computed",
            f"{_INTERFACES}.cache:CacheStrategy",
        ),
        Kind(
            "guidance",
            "mixes conditional and null logits, scale by scale",
            f"{_INTERFACES}.guidance:Guidance",
        ),
        Kind("sampler", "logits to codes", f"{_INTERFACES}.sampler:Sampler"),
        Kind(
            "generator",
            "a whole system beside next-scale models: from conditions and seeds to images",
            f"{_INTERFACES}.generator:Generator",
        ),
        Kind("dataset", "images with labels or captions", f"{_INTERFACES}.dataset:ImageDataset"),
        Kind(
            "feature",
            "a frozen network that sees how images differ",
            f"{_INTERFACES}.feature:Feature",
        ),
        Kind(
            "discriminator",
            "tells images from reconstructions while a tokenizer is trained",
            f"{_INTERFACES}.discriminator:Discriminator",
        ),
        Kind("metric", "a number about images", f"{_INTERFACES}.metric:Metric"),
        Kind(
            "logger",
            "shows a training run's numbers and pictures elsewhere",
            f"{_INTERFACES}.logger:Logger",
        ),
        Kind(
            "importer",
            "reads another project's checkpoints",
            f"{_INTERFACES}.importer:Importer",
        ),
    )
}
