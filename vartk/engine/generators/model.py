"""A generator as a model: sampled as a next-scale model is, from labels and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vartk_registry import Plugins, VartkError, shown
from vartk_registry.interfaces import Generated, Generator, Tokenizer

from ...config import GeneratorSampling, Layer, ModelConfig, compose, nest, plain
from ..arguments import as_labels, seeds_of
from ..build import grid
from ..describe import described
from ..device import as_device
from ..inference.precision import precision
from ..samples import Samples


@dataclass(frozen=True, slots=True)
class GeneratorState:
    """A step of a generation, as its consumer sees it.

    Attributes:
        step: counted from 0.
        steps: of the whole generation.
        unrecorded: empty, since a generator is never recorded.
    """

    step: int
    steps: int
    _generated: Generated
    unrecorded: str = ""

    @property
    def place(self) -> str:
        """Where the generation is, as a progress bar shows it."""
        return f"step {self.step + 1}/{self.steps}"

    @property
    @torch.no_grad()
    def images(self) -> torch.Tensor:
        """[B, 3, H, W] in [0, 1], the images made so far.

        Raises:
            VartkError: they are not finite.
        """
        images = self._generated.images().float()
        if not images.isfinite().all():
            raise VartkError(
                "the images are NaN or infinite: a weight of the generator is, or numbers overflow; take "
                "precision=bf16 or fp32"
            )
        return images.clamp(0, 1)


class GeneratorModel:
    """A generator with its configuration.

    Args:
        config: what it is made of; `generator` holds the defaults for `sample`.
        generator: built from it, in evaluation mode.
        tokenizer: whose latents it makes, or None.
        plugins: where components are looked up.
    """

    def __init__(
        self, config: ModelConfig, generator: Generator, tokenizer: Tokenizer | None, plugins: Plugins
    ) -> None:
        self.config = config
        self.generator = generator
        self.tokenizer = tokenizer
        self.plugins = plugins
        if grid(config.image_size) != generator.image_size:
            config.image_size = list(generator.image_size)

    def __repr__(self) -> str:
        parts = {"generator": (self.config.generator.name, self.generator)}
        if self.tokenizer is not None:
            parts["tokenizer"] = (self.config.tokenizer.name, self.tokenizer)
        return f"GeneratorModel: {described(self.config, parts, len(self.classes), self.device)}"

    @property
    def takes(self) -> str:
        """What it is conditioned by: "label" or "caption"."""
        return self.generator.takes

    @property
    def classes(self) -> list[str]:
        """The names of the classes, by index; empty for a generator of prompts."""
        return self.generator.choices

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.modules()[-1].parameters()).device

    def modules(self) -> list[nn.Module]:
        """Return the tokenizer, where there is one, and the generator."""
        return [module for module in (self.tokenizer, self.generator) if isinstance(module, nn.Module)]

    def to(self, device: torch.device | str) -> GeneratorModel:
        """Move the weights to a device, and return the model; `VartkError` where it cannot be used here."""
        where = as_device(device)
        for module in self.modules():
            module.to(where)
        return self

    def parse(self, labels: Any) -> Any:
        """Return the batch of conditions for labels: one index, name or prompt, or several."""
        return self.generator.parse(_unblended(labels))

    def sampling(self, **settings: Any) -> GeneratorSampling:
        """Return the defaults with settings merged in: dotted keys, or the short names of `generator.NAME`.

        Raises:
            VartkError: a setting is unknown, out of range, or fixed by the weights.
        """
        short = set(self.generator.at_call)
        given = {
            f"generator.{key}" if key in short and not isinstance(value, Mapping) else key: value
            for key, value in settings.items()
        }
        defaults = self.config.sampling
        own = {
            "generator": plain(self.config)["generator"],
            "batch": defaults.batch,
            "precision": defaults.precision,
        }
        layers = [Layer("model", own), nest(given, "sample")]
        merged = compose(GeneratorSampling, layers, self.plugins).config
        fixed = compose(GeneratorSampling, layers[:1], self.plugins).config.generator
        changed = [
            f"generator.{key}={value}"
            for key, value in {"name": merged.generator.name, **merged.generator.params}.items()
            if key not in short and {"name": fixed.name, **fixed.params}[key] != value
        ]
        if changed:
            raise VartkError(
                f"{', '.join(changed)}: the weights fix this; sampling may change "
                f"{', '.join(f'generator.{key}' for key in self.generator.at_call)}"
            )
        return merged

    def set_defaults(self, **settings: Any) -> None:
        """Make settings (see `sampling`) the defaults of sampling."""
        merged = self.sampling(**settings)
        self.config.generator = merged.generator
        self.config.sampling.batch, self.config.sampling.precision = merged.batch, merged.precision

    def sample(self, labels: Any, *, seed: int | Sequence[int] = 0, **settings: Any) -> Samples:
        """Sample an image a label.

        Args:
            labels: class indices or names, or prompts, one an image.
            seed: of the first image, the others counting up from it; or one seed an image.
            settings: as for `sampling`.

        Raises:
            VartkError: a setting or a label is unknown or out of range.
        """
        given, sampling = _unblended(labels), self.sampling(**settings)
        self.generator.parse(given)
        seeds = seeds_of(seed, len(given))
        images = []
        for start in range(0, len(given), sampling.batch):
            rows = slice(start, start + sampling.batch)
            for state in self._stream(given[rows], seeds[rows], sampling):
                last = state
            images.append(last.images.cpu())
        return Samples(images=torch.cat(images), codes=[], seeds=seeds, sampling=sampling)

    def stream(
        self, labels: Any, *, seed: int | Sequence[int] = 0, **settings: Any
    ) -> Iterator[GeneratorState]:
        """Return an iterator over one batch's generation, step by step; arguments as for `sample`."""
        given, sampling = _unblended(labels), self.sampling(**settings)
        self.generator.parse(given)
        return self._stream(given, seeds_of(seed, len(given)), sampling)

    @torch.no_grad()
    def _stream(
        self, labels: Sequence[Any], seeds: Sequence[int], sampling: GeneratorSampling
    ) -> Iterator[GeneratorState]:
        conditions = self.generator.parse(labels)
        params = {key: sampling.generator.params[key] for key in self.generator.at_call}
        chosen = precision(sampling.precision, self.device)
        steps = self.generator.generate(conditions, seeds, **params)
        while True:
            # a consumer's own computations are not in autocast
            with chosen.autocast(self.device):
                generated = next(steps, None)
            if generated is None:
                return
            yield GeneratorState(generated.step, generated.steps, generated)


def _unblended(labels: Any) -> list[Any]:
    """Return labels as a list; `VartkError` where some are blends."""
    given = as_labels(labels)
    if blends := [label for label in given if isinstance(label, Mapping)]:
        raise VartkError(
            f"{shown(blends[0])} is a blend, which only next-scale models such as emoji64 draw; give one "
            "class or prompt an image"
        )
    return given
