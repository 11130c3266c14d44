"""A diffusion transformer on the continuous latents of a tokenizer.

Legend: B batch, C channels of the latent, h and w its sides.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vartk_registry import VartkError, class_index
from vartk_registry.interfaces import Generated, Grid, LatentTokenizer

from .schedulers import build_scheduler


class DiT(nn.Module):
    """DiT (arXiv 2212.09748): diffusers' network, predicting the noise of latents under a class.

    Latents are those of the tokenizer before quantisation, shifted and scaled by channel to mean 0 and
    deviation 1. The tokenizer decodes what is generated as it is, without quantising it.

    Args:
        depth, heads, head_dim, patch, noise_steps, scheduler, steps, guidance: fields of `config.DiT`.
        classes: their names.
        image_size: (height, width); DiT is for squares.
        tokenizer: frozen.

    Raises:
        VartkError: there are no classes, no tokenizer, or sizes that do not fit.
    """

    takes = "label"
    at_call: ClassVar[tuple[str, ...]] = ("scheduler", "steps", "guidance")

    def __init__(
        self,
        *,
        depth: int,
        heads: int,
        head_dim: int,
        patch: int,
        noise_steps: int,
        scheduler: str,
        steps: int,
        guidance: float,
        classes: Sequence[str],
        image_size: Grid,
        tokenizer: LatentTokenizer | None,
    ) -> None:
        from diffusers import DiTTransformer2DModel

        super().__init__()
        if not isinstance(tokenizer, LatentTokenizer) or not classes:
            raise VartkError(
                "generator 'dit' needs the names of the classes, and a tokenizer with continuous latents; "
                "give one with --tokenizer MODEL"
            )
        h, w = tokenizer.latent_grid(image_size)
        if h != w or h % patch:
            raise VartkError(
                f"generator 'dit' takes squares of latents that patch={patch} divides, not {h}x{w}; "
                "change image_size or generator.patch"
            )
        build_scheduler(scheduler, noise_steps)  # an unknown name is told before anything is computed
        self.choices = list(classes)
        self.image_size = image_size
        self.latent = tokenizer.channels, h, w
        self.noise_steps = noise_steps
        self._noising = build_scheduler("ddpm", noise_steps)
        self._tokenizer = [tokenizer]  # in a list, its weights are none of this module's
        self.network = DiTTransformer2DModel(
            num_attention_heads=heads,
            attention_head_dim=head_dim,
            in_channels=tokenizer.channels,
            num_layers=depth,
            sample_size=h,
            patch_size=patch,
            num_embeds_ada_norm=len(classes),
        )
        for module in self.network.modules():
            if hasattr(module, "dropout_prob"):
                module.dropout_prob = 0.0  # the training stage drops classes
        self.register_buffer("mean", torch.zeros(tokenizer.channels, 1, 1))
        self.register_buffer("std", torch.ones(tokenizer.channels, 1, 1))

    def parse(self, values: Sequence[Any]) -> Tensor:
        """Return the indices [B] of classes given by index or name."""
        return torch.tensor([class_index(value, self.choices) for value in values])

    def drop(self, conditions: Tensor, dropped: Tensor) -> Tensor:
        """Return class indices with the null one where `dropped` is true."""
        return torch.where(dropped, len(self.choices), conditions)

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """Measure the mean and the deviation of each channel of the latents of images."""
        latents = self._features(images).transpose(0, 1).flatten(1)
        self.mean.copy_(latents.mean(1)[:, None, None])
        self.std.copy_(latents.std(1)[:, None, None].clamp(min=1e-6))

    def forward(self, images: Tensor, conditions: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the squared error of the predicted noise, for each image, at a random step each."""
        with torch.no_grad():
            latents_BChw = (self._features(images) - self.mean) / self.std
        # drawn on the CPU, so that a seed gives the same loss on any device
        noise_BChw = torch.randn(latents_BChw.shape, generator=generator).to(latents_BChw)
        steps_B = torch.randint(self.noise_steps, (len(images),), generator=generator).to(images.device)
        noisy_BChw = self._noising.add_noise(latents_BChw, noise_BChw, steps_B)
        predicted_BChw = self.network(noisy_BChw, timestep=steps_B, class_labels=conditions).sample
        return (predicted_BChw.float() - noise_BChw).square().flatten(1).mean(1)

    def generate(
        self, conditions: Tensor, seeds: Sequence[int], *, scheduler: str, steps: int, guidance: float
    ) -> Iterator[Generated]:
        """Yield a generation; its first noise, and that of schedulers that add some, come from the seeds."""
        conditions = conditions.to(self.mean.device)
        schedule = build_scheduler(scheduler, self.noise_steps)
        schedule.set_timesteps(steps, device=conditions.device)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = [torch.randn(self.latent, generator=each) for each in generators]
        x_BChw = torch.stack(noise).to(conditions.device) * schedule.init_noise_sigma
        draws = "generator" in inspect.signature(schedule.step).parameters
        settings = {"generator": generators} if draws else {}
        timesteps = schedule.timesteps
        for step, timestep in enumerate(timesteps):
            scaled_BChw = schedule.scale_model_input(x_BChw, timestep)
            predicted_BChw = self._predicted(scaled_BChw, timestep, conditions, guidance)
            x_BChw = schedule.step(predicted_BChw, timestep, x_BChw, **settings).prev_sample
            latent_BChw = x_BChw
            yield Generated(step, len(timesteps), lambda latent=latent_BChw: self._images(latent))

    def _predicted(self, x_BChw: Tensor, timestep: Tensor, conditions: Tensor, guidance: float) -> Tensor:
        if guidance == 1:
            return self._noise(x_BChw, timestep, conditions)
        null = torch.full_like(conditions, len(self.choices))
        both = self._noise(torch.cat((x_BChw, x_BChw)), timestep, torch.cat((conditions, null)))
        conditional, unconditional = both.chunk(2)
        return unconditional + guidance * (conditional - unconditional)

    def _noise(self, x_BChw: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor:
        steps_B = timestep.expand(len(x_BChw)).to(x_BChw.device)
        return self.network(x_BChw, timestep=steps_B, class_labels=conditions).sample.float()

    def _images(self, latent_BChw: Tensor) -> Tensor:
        return (self._tokenizer[0].decode(latent_BChw * self.std + self.mean) + 1) / 2

    def _features(self, images: Tensor) -> Tensor:
        return self._tokenizer[0].features(images)
