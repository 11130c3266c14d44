"""A model: a tokenizer, a transformer and their schedule, ready to encode, sample and decode."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from numbers import Real
from typing import Any

import torch
from torch import nn

from vartk_registry import Plugins, VartkError, shown
from vartk_registry.interfaces import CacheStrategy, Schedule, Tokenizer

from ..config import Layer, ModelConfig, SamplingConfig, Slot, compose, nest, plain, with_preset
from .arguments import as_codes, as_images, as_labels, as_watcher, seeds_of
from .asked import Asked, ask
from .attention import build_attention
from .build import Predictor, grid, schedule_slot
from .cache import build_cache
from .codes import by_scale, check_codes, latents, teacher_inputs
from .collaborative import Handover, hand_over
from .describe import described, parts_of
from .device import as_device
from .diversity import build_diversity
from .generate import Recipe, generate
from .given import Given
from .inference.copies import Inference, prepared
from .inference.decoding import checked_tile, decoded
from .inference.precision import precision
from .randomness import randomness
from .recent import Recent, is_plain
from .recording.recordings import recorded_settings
from .samples import Samples
from .scale import ScaleState
from .sizes import report_other, schedule_for
from .watching import watching
from .zero_shot import ZeroShot

REMEMBERED = 16
"""Settings of sampling that a model remembers, checked and built: both take milliseconds."""


class Model(ZeroShot):
    """A tokenizer and, unless only the first stage is there, a predictor of its codes.

    Args:
        config: what it is made of; `sampling` holds the defaults for `sample`.
        tokenizer, schedule, predictor: built from it (see `vartk.load`).
        plugins: where components named at a call are looked up.
    """

    def __init__(
        self,
        config: ModelConfig,
        tokenizer: Tokenizer,
        schedule: Schedule,
        predictor: Predictor | None,
        plugins: Plugins,
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.schedule = schedule
        self.predictor = predictor
        self.plugins = plugins
        self._inference: Inference | None = None
        self._recent_sampling: Recent[SamplingConfig] = Recent(REMEMBERED)
        self._recent_parts: Recent[dict[str, Any]] = Recent(REMEMBERED)

    def __repr__(self) -> str:
        parts = parts_of(self.config, self.tokenizer, self.schedule, self.predictor)
        return f"Model: {described(self.config, parts, len(self.classes), self.device)}"

    @property
    def classes(self) -> list[str]:
        """The names of the classes, by index: digits where they have none."""
        return self.config.classes if self.predictor is None else self.predictor.conditioner.choices

    @property
    def takes(self) -> str:
        """What it is conditioned by: "label" or "caption"; `VartkError` for a tokenizer alone."""
        return self._predictor().conditioner.takes

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.modules()[0].parameters()).device

    def modules(self) -> list[nn.Module]:
        """Return the tokenizer and, where there is one, the predictor."""
        return [module for module in (self.tokenizer, self.predictor) if isinstance(module, nn.Module)]

    def to(self, device: torch.device | str) -> Model:
        """Move the weights to a device, and return the model; `VartkError` where it cannot be used here."""
        where = as_device(device)
        for module in self.modules():
            module.to(where)
        return self

    @torch.no_grad()
    def encode(self, images: torch.Tensor, schedule: Any = None) -> list[torch.Tensor]:
        """Return the codes of images [N, 3, H, W] in [-1, 1]: for each scale [N, h*w] integers.

        `schedule` (as for `sample`) replaces the model's own.

        Raises:
            VartkError: images of another shape, type, size or range, or with NaN.
        """
        images = as_images(images, self.device)
        h, w = images.shape[-2:]
        if self.tokenizer.latent_grid((h, w)) != self.schedule.latent:
            own_h, own_w = grid(self.config.image_size)
            raise VartkError(f"images are {h}x{w} pixels, the model takes {own_h}x{own_w}")
        return self.tokenizer.encode(images, self.schedule_of(schedule).scales)

    @torch.no_grad()
    def decode(self, codes: Sequence[torch.Tensor], schedule: Any = None) -> torch.Tensor:
        """Return the images [N, 3, H, W] in [-1, 1] of codes; fewer scales give a coarser image.

        Raises:
            VartkError: the codes do not fit the schedule, or are out of range.
        """
        schedule = self.schedule_of(schedule)
        inference, tile = self._prepared(self.config.sampling), self.config.sampling.decode_tile
        *_, f_hat = latents(inference.tokenizer, self._checked(codes, schedule), schedule)
        return decoded(inference.tokenizer, f_hat, inference.precision, tile)

    @torch.no_grad()
    def logits(self, labels: Any, codes: Sequence[torch.Tensor], schedule: Any = None) -> torch.Tensor:
        """Return the teacher-forced logits [N, L, V] of codes under labels (indices or names).

        Raises:
            VartkError: as `decode` and `sample`, or there are not as many labels as images.
        """
        predictor, schedule = self._predictor(), self.schedule_of(schedule)
        codes, conditions = self._checked(codes, schedule), self.parse(labels)
        if len(codes) != len(schedule.grids) or len(conditions) != len(codes[0]):
            raise VartkError(
                f"{len(codes)} scales of codes of {len(codes[0])} images with {len(conditions)} labels; "
                f"give the {len(schedule.grids)} scales of the schedule, and a label an image"
            )
        inputs = teacher_inputs(self.tokenizer, codes, schedule)
        attend = build_attention(self.config.sampling.attention, self.plugins.registry)
        return predictor(inputs, conditions, schedule, attend)

    def sample(
        self,
        labels: Any,
        *,
        negative: Any = None,
        seed: int | Sequence[int] = 0,
        given: Given | None = None,
        refiner: Model | None = None,
        draft: int | None = None,
        watch: Callable[[float, ScaleState], None] | None = None,
        progress: bool = False,
        **settings: Any,
    ) -> Samples:
        """Sample an image a label.

        Args:
            labels: class indices or names, or prompts: whatever the conditioner takes, one an image. A
                mapping of them to weights is a blend: {"a red apple": 0.7, "a basketball": 0.3}.
            negative: what guidance leads away from in the place of no condition, one for all or one an image.
            seed: of the first image, the others counting up from it; or one seed an image.
            given: cells of each image that are not drawn, for one schedule.
            refiner: a model that draws the scales after the first `draft` (CoDe, arXiv 2411.17787); it has
                the same tokenizer, schedule and classes. Each model has its own defaults; `settings` are
                for both.
            draft: scales that this model draws, from 0 to all.
            watch: is called after each scale with the number of images done, a fraction, and the scale.
            progress: show a bar, in a terminal or a notebook.
            settings: instead of the model's defaults: `guidance` (a number sets its scale; a name or a
                mapping swaps the component), `sampler`, `top_k`, `top_p`, `temperature`,
                `smooth=True` (gumbel_smooth), `cache`, `attention`, `schedule` (also a `Schedule` or a
                list of grids), `random` ("per_image", "shared"), `batch`, `preset` (a preset of sampling or
                a YAML file, under the other settings), or any dotted key of `SamplingConfig`.

        Raises:
            VartkError: a setting or a label is unknown or out of range, or the refiner does not fit.
        """
        sampling = self.sampling(**settings)
        conditions = ask(self._predictor().conditioner, self.parse, labels, negative)
        self._check_given(given, sampling, len(conditions))
        seeds = seeds_of(seed, len(conditions))
        handover = hand_over(self, refiner, draft, settings)
        images, codes = [], []
        with watching(as_watcher(watch), progress, len(conditions)) as seen:
            for start in range(0, len(conditions), sampling.batch):
                rows = slice(start, start + sampling.batch)
                states = []
                for state in self._stream(
                    conditions[rows], seeds[rows], sampling, handover, given=given and given[rows]
                ):
                    states.append(state)
                    seen(start + len(seeds[rows]) * (state.step + 1) / len(state.schedule), state)
                images.append(states[-1].images.cpu())
                codes.append(by_scale([state.codes for state in states], states[-1].schedule))
        return Samples(
            images=torch.cat(images),
            codes=[torch.cat(scale) for scale in zip(*codes, strict=True)],
            seeds=seeds,
            sampling=sampling,
        )

    def stream(
        self,
        labels: Any,
        *,
        negative: Any = None,
        seed: int | Sequence[int] = 0,
        given: Given | None = None,
        strategy: CacheStrategy | None = None,
        refiner: Model | None = None,
        draft: int | None = None,
        **settings: Any,
    ) -> Iterator[ScaleState]:
        """Return an iterator over one batch's generation, step by step; arguments as for `sample`.

        A state has the step's `codes` and the `images` made so far; assign to its `vectors` to edit.
        `strategy` takes the place of the cache that the settings name; a refiner keeps its own.
        """
        if not (strategy is None or isinstance(strategy, CacheStrategy)):
            raise VartkError(
                f"strategy={shown(strategy)} is no CacheStrategy; name a cache, as in cache='window'"
            )
        conditions = ask(self._predictor().conditioner, self.parse, labels, negative)
        sampling = self.sampling(**settings)
        self._check_given(given, sampling, len(conditions))
        handover = hand_over(self, refiner, draft, settings)
        return self._stream(conditions, seeds_of(seed, len(conditions)), sampling, handover, strategy, given)

    def sampling(self, **settings: Any) -> SamplingConfig:
        """Return the model's sampling defaults with `settings` (see `sample`) merged in."""
        return self.merged_sampling(Layer("sample", settings))

    def merged_sampling(self, *layers: Layer) -> SamplingConfig:
        """Return the model's sampling defaults with layers of settings merged in, the last one winning.

        The preset that a layer's `preset` names lies under the other settings of that layer.
        """
        if any("preset" in layer.values or not is_plain(layer.values) for layer in layers):
            return self._merged_sampling(layers)  # a file may have changed
        key = repr((plain(self.config.sampling), self.config.calibration, layers))
        return deepcopy(self._recent_sampling.get(key, lambda: self._merged_sampling(layers)))

    def _merged_sampling(self, layers: Sequence[Layer]) -> SamplingConfig:
        given = [nest(self._long_names(layer.values), layer.source) for layer in layers]
        given = [each for layer in given for each in with_preset(layer, self.plugins)]
        own = Layer("model", plain(self.config.sampling))
        return compose(SamplingConfig, [own, *given], self.plugins, self.config.calibration).config

    def set_defaults(self, **settings: Any) -> None:
        """Make settings (see `sample`) the defaults of sampling."""
        self.config.sampling = self.sampling(**settings)

    def parse(self, labels: Any) -> torch.Tensor:
        """Return the batch of conditions for labels: one index, name or prompt, or several."""
        return self._predictor().conditioner.parse(as_labels(labels)).to(self.device)

    def recipe(self, sampling: SamplingConfig, seeds: Sequence[int]) -> Recipe:
        """Build the parts of a generation, one seed an image; `VartkError` where one cannot run here."""
        # what is built keeps nothing of a generation but plans of attention, which serve the next one, too
        parts = self._recent_parts.get(repr(plain(sampling)), lambda: self._parts(sampling))
        space = self.tokenizer.space
        return Recipe(
            **parts,
            random=randomness(sampling.random, seeds, parts["schedule"], space.shape, self.device),
            precision=precision(sampling.precision, self.device),
            tile=checked_tile(self.tokenizer, sampling.decode_tile),
        )

    def _parts(self, sampling: SamplingConfig) -> dict[str, Any]:
        registry = self.plugins.registry
        schedule = self.schedule_of(sampling.schedule, sampling.size)
        report_other(self.config, sampling.size, schedule, self.schedule_of(None, sampling.size))
        return {
            "schedule": schedule,
            "guidance": registry.build("guidance", sampling.guidance.name, sampling.guidance.params),
            "sampler": registry.build("sampler", sampling.sampler.name, sampling.sampler.params),
            "cache": build_cache(sampling.cache, registry),
            "attend": build_attention(sampling.attention, registry),
            "diversity": build_diversity(sampling.diversity),
        }

    @torch.no_grad()
    def _stream(
        self,
        conditions: Asked,
        seeds: list[int],
        sampling: SamplingConfig,
        handover: Handover[Model] | None = None,
        strategy: CacheStrategy | None = None,
        given: Given | None = None,
    ) -> Iterator[ScaleState]:
        for state in self._states(conditions, seeds, sampling, handover, strategy):
            if given is not None:
                given.put(state)
            yield state

    def _states(
        self,
        conditions: Asked,
        seeds: list[int],
        sampling: SamplingConfig,
        handover: Handover[Model] | None,
        strategy: CacheStrategy | None,
    ) -> Iterator[ScaleState]:
        recipe = self.recipe(sampling, seeds)
        if strategy is not None:
            recipe = replace(recipe, cache=strategy)
        states = self._generation(conditions, sampling, recipe, named=strategy is None)
        if handover is None:
            yield from states
            return
        drafted = []
        for state in islice(states, handover.draft):
            drafted.append(state)
            yield state
        states.close()  # and with it the drafter's keys and values
        refiner = handover.refiner
        rest = replace(refiner.recipe(handover.sampling, seeds), random=recipe.random)
        if handover.draft < rest.cache.steps(rest.schedule):
            yield from refiner._generation(conditions, handover.sampling, rest, drafted)

    def _generation(
        self,
        conditions: Asked,
        sampling: SamplingConfig,
        recipe: Recipe,
        drafted: Sequence[ScaleState] = (),
        *,
        named: bool = True,
    ) -> Generator[ScaleState, None, None]:
        predictor, inference = self._predictor(), self._prepared(sampling)
        condition, null = conditions.conditions(predictor.conditioner)
        if sampling.record == "never" or (sampling.record == "auto" and self.device.type != "cuda"):
            return generate(inference.tokenizer, inference.transformer, condition, null, recipe, drafted)
        settings = recorded_settings(sampling, self.device) if named else None
        always = sampling.record == "always"
        return inference.recordings.generate(condition, null, recipe, drafted, settings, always=always)

    def _check_given(self, given: Given | None, sampling: SamplingConfig, count: int) -> None:
        if given is not None:
            if not isinstance(given, Given):
                raise VartkError(f"given={shown(given)} holds no cells; make them with model.given")
            given.check(self.schedule_of(sampling.schedule, sampling.size), count)

    def _prepared(self, sampling: SamplingConfig) -> Inference:
        """Return the modules for inference: the last call's, if settings and weights are as they were."""
        transformer = None if self.predictor is None else self.predictor.transformer
        self._inference = prepared(
            self._inference, self.tokenizer, transformer, sampling.precision, compiled=sampling.compile
        )
        return self._inference

    def _checked(self, codes: Sequence[torch.Tensor], schedule: Schedule) -> list[torch.Tensor]:
        """Return codes as 64-bit integers on the model's device; errors as `as_codes` and `check_codes`."""
        codes = as_codes(codes, self.device)
        check_codes(codes, schedule, self.tokenizer.space)
        return codes

    def _predictor(self) -> Predictor:
        if self.predictor is None:
            raise VartkError(
                "this model is a tokenizer alone: it encodes and decodes, but cannot sample; train its "
                "transformer with `vartk train transformer CONFIG --tokenizer MODEL --out RUN`"
            )
        return self.predictor

    def schedule_of(self, schedule: Any, size: Any = None) -> Schedule:
        """Return the model's own schedule for None, or the one asked for, for its or another image size."""
        if schedule is not None and not isinstance(schedule, Slot):
            schedule = self.sampling(schedule=schedule).schedule
        own = self.config, self.tokenizer, self.schedule, self.plugins.registry
        return schedule_for(*own, schedule, size)

    def _long_names(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return dotted keys for the short names of `sample`."""
        long: dict[str, Any] = {}
        if not isinstance(smooth := settings.get("smooth", False), bool):
            raise VartkError(f"smooth={shown(smooth)} must be True or False")
        if smooth:
            if "sampler" in settings:
                raise VartkError("smooth=True stands for sampler='gumbel_smooth'; give one of the two")
            long["sampler"] = {"name": "gumbel_smooth", **self.config.sampling.sampler.params}
        for key, value in settings.items():
            if key == "guidance" and isinstance(value, Real) and not isinstance(value, bool):
                long["guidance.scale"] = float(value)
            elif key == "schedule" and isinstance(value, (Schedule, Sequence)) and not isinstance(value, str):
                long[key] = schedule_slot(value)
            elif key in ("top_k", "top_p", "temperature"):
                long[f"sampler.{key}"] = value
            elif key != "smooth":
                long[key] = value
        return long
