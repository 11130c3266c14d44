"""The second stage: a transformer learns to predict each step's codes from the steps before."""

from __future__ import annotations

import random
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from vartk_registry import Registry, VartkError
from vartk_registry.interfaces import Schedule

from ...config import Config, model_part
from ...files import whole_folder
from ...images import enlarged, tile
from ..adapters import FOLDER, adapt, merged, scale_of, write_adapters
from ..attention import build_attention
from ..buckets import BucketBatches, grouped
from ..build import Predictor
from ..codes import latents, split, teacher_inputs
from ..data import View, loader, on_device
from ..distributed import ALONE, World
from ..folder import CONFIG, write_model
from ..joint import drop_some
from ..model import Model
from ..sizes import bucket_schedules
from ..tokens import Tokens
from .correction import Err, exchanged, first_scales, flipped, with_mistakes
from .judge import Judge
from .scores import Scores
from .stage import VALIDATED_AT_ONCE

Batch = tuple[torch.Tensor, torch.Tensor, int]
"""Codes [B, L, *shape], conditions [B, ...], and the bucket of both."""


class TransformerStage:
    """Trains the predictor of a model on the codes of its tokenizer; see `Stage`.

    Args:
        taken: the names of the predictor's weights that a trained model gave.
        start: the folder of that model, which adapters (LoRA) belong to.
    """

    name = "transformer"
    opponent = None

    def __init__(
        self,
        config: Config,
        model: Model,
        tokens: Mapping[str, Tokens],
        registry: Registry,
        judge: Judge | None = None,
        taken: Iterable[str] = (),
        start: Path | None = None,
    ) -> None:
        assert model.predictor is not None
        self.config = config
        self.train = config.train.transformer
        self.parallel = self.train.parallel
        self.model = model
        self.module: nn.Module = model.predictor
        self.judge = judge
        self.shares = dict.fromkeys(taken, self.train.taken_lr)
        if not self.train.taken_lr:
            for name in self.shares:  # the backward pass need not compute their gradients
                self.module.get_parameter(name).requires_grad_(False)
        if model.schedule.raster and self.train.self_correction:
            raise VartkError(
                f"train.transformer.self_correction={self.train.self_correction:g} has finer scales correct "
                "wrong codes, and in raster order there are none; take 0"
            )
        self.start = start
        if self.train.lora.rank:
            self._adapt(model.predictor, set(taken))
        self._conditioner = model.predictor.conditioner
        self._whole = bucket_schedules(config, model.tokenizer, model.schedule, registry)
        self._schedules = [_first(schedule, self.train.scales) for schedule in self._whole]
        self._scores = [
            Scores(model.tokenizer.space, schedule.scales, equal=self.train.equal_scales)
            for schedule in self._schedules
        ]
        self._attend = build_attention(self.train.attention, registry)
        self._data = {name: _Codes(split, model.predictor, self.train.seed) for name, split in tokens.items()}

    def _adapt(self, predictor: Predictor, taken: Collection[str]) -> None:
        """Train adapters on a predictor in the place of its weights."""
        if self.train.compile is True or self.parallel == "fsdp":
            raise VartkError(
                "train.transformer.lora trains with ddp and without torch.compile; take "
                "train.transformer.parallel=ddp and train.transformer.compile=auto"
            )
        self.train = replace(self.train, compile=False)
        self.shares = {}
        adapt(predictor, self.train.lora, taken)
        predictor.frozen_elsewhere = True  # type: ignore[assignment]

    def prepare(self, device: torch.device, *, compiled: bool) -> None:
        """See `Stage`."""
        if compiled:
            for scores in self._scores:
                scores.compile()

    def batches(self, start: int, device: torch.device, world: World = ALONE) -> Iterator[Batch]:
        """Yield this process's share of each step's batch, from `start` on."""
        data = self._data["train"]
        groups = grouped(data.buckets, len(self._schedules))
        views = BucketBatches(groups, self.train.batch, self.train.seed, start, self.train.steps, world)
        batches = on_device(loader(data, views, self.train.workers, device), device)
        for (codes, conditions), bucket in zip(batches, views.buckets(), strict=True):
            yield codes[:, : self._whole[bucket].total].long(), conditions, bucket

    def loss(self, module: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the mean cross-entropy over all tokens, and how well each scale is met."""
        codes, conditions, bucket = batch
        if module.training and self.train.label_drop:
            conditions = drop_some(self._conditioner, conditions, self.train.label_drop)
        tokenizer, schedule = self.model.tokenizer, self._whole[bucket]
        whole = split(codes, schedule)
        given = right = whole[: len(self._schedules[bucket].grids)]
        made = None
        if module.training and self.train.self_correction:
            *_, latent = latents(tokenizer, whole, schedule)
            given, right, made = with_mistakes(tokenizer, given, schedule, self._mistakes(given), latent)
        inputs = teacher_inputs(tokenizer, given, schedule, made)
        logits = module(inputs, conditions, self._schedules[bucket], self._attend)
        return self._scores[bucket].loss(logits, torch.cat(list(right), dim=1), self.train.label_smoothing)

    def _mistakes(self, codes: Sequence[torch.Tensor]) -> Err:
        """Return what makes the mistakes of a step."""
        train, most = self.train, self.train.self_correction
        flips = train.correction == "flip"
        err = flipped(self.model.tokenizer.space.classes, most) if flips else exchanged(codes, most)
        return err if train.corrected_scales is None else first_scales(err, train.corrected_scales)

    @torch.no_grad()
    def validate(self, module: Any, device: torch.device) -> dict[str, float]:
        """Return the loss and accuracy on held-out images, the mean and by scale."""
        data = self._data["validation"]
        count = min(len(data), self.train.eval_images)
        if not count:
            return {}
        sums: dict[str, float] = {}
        images: dict[str, int] = {}
        for bucket, rows in enumerate(grouped(data.buckets[:count], len(self._schedules))):
            if rows:
                for name, value in self._validated(module, bucket, rows, device).items():
                    sums[name] = sums.get(name, 0.0) + value * len(rows)
                    images[name] = images.get(name, 0) + len(rows)
        values = {name: total / images[name] for name, total in sums.items()}
        return values if self.judge is None else {**self.judge.measure(self._shown(module)), **values}

    def _validated(self, module: Any, bucket: int, rows: list[int], device: torch.device) -> dict[str, float]:
        """Return the numbers of held-out images of one bucket."""
        tokenizer, schedule, scores = self.model.tokenizer, self._schedules[bucket], self._scores[bucket]
        total = torch.zeros(2, schedule.total, dtype=torch.float64)
        for start in range(0, len(rows), VALIDATED_AT_ONCE):
            given, conditions = self._data["validation"][rows[start : start + VALIDATED_AT_ONCE]]
            codes = given[:, : schedule.total].to(device).long()
            inputs = teacher_inputs(tokenizer, split(codes, schedule), self._whole[bucket])
            logits = module(inputs, conditions.to(device), schedule, self._attend)
            total += scores.tokens(logits, codes).double().sum(1).cpu()
        return {name: value.item() for name, value in scores.by_scale(total / len(rows)).items()}

    @torch.no_grad()
    def preview(self, module: Any, device: torch.device) -> torch.Tensor:
        """Return a sample of each of the first classes, as a picture [3, H, W] in [0, 1]."""
        values = self._data["train"].values
        labels = list(dict.fromkeys(values))[:8]
        images = self._shown(module).sample(labels, seed=self.train.seed).images
        return tile(enlarged(images), columns=len(labels))

    def export(self, weights: Mapping[str, torch.Tensor], folder: Path) -> None:
        """Write the model folder, tokenizer included."""
        tokenizer = self.model.tokenizer.state_dict()  # type: ignore[attr-defined]
        card = _card(self.config, self.model.takes)
        with whole_folder(folder, replace=True) as aside:
            if not self.train.lora.rank:
                write_model(aside, model_part(self.config), tokenizer, weights, card)
                return
            assert self.start is not None
            scale, part = scale_of(self.train.lora), model_part(self.config)
            write_model(aside, part, tokenizer, merged(weights, scale), card)
            (aside / FOLDER).mkdir()
            shutil.copy(aside / CONFIG, aside / FOLDER / CONFIG)
            learned = {
                name: weights[name]
                for name, weight in self.module.named_parameters()
                if weight.requires_grad or name.startswith("conditioner.")
            }
            name = str(self.train.start_from)
            write_adapters(aside / FOLDER, folder / FOLDER, name, self.start, scale, learned)

    def _shown(self, module: Any) -> Model:
        """Return the model with a predictor: the trained one, or its average."""
        model, config = self.model, self.model.config
        if self.train.lora.rank:  # faster copies of the layers would not have the adapters
            plain = replace(config.sampling, precision="plain", record="never", compile=False)
            config = replace(config, sampling=plain)
        return Model(config, model.tokenizer, model.schedule, module, model.plugins)


class _Codes(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Codes with their conditions, fetched a batch at a time.

    Of an image with several captions a view has one, drawn by the seed and the view's name; a list of
    rows, which a validation takes, has the first one.
    """

    def __init__(self, tokens: Tokens, predictor: Predictor, seed: int) -> None:
        conditioner = predictor.conditioner
        labels, others = tokens.labels.tolist(), tokens.others or [[]] * len(tokens)
        self.codes = tokens.codes
        self.buckets = [0] * len(tokens) if tokens.buckets is None else tokens.buckets.tolist()
        self.seed = seed
        lists: list[list[Any]]
        if conditioner.takes == "label":  # codes that were made without a dataset have no captions
            lists = [[label] for label in labels]
        else:
            lists = [[one, *more] for one, more in zip(tokens.captions, others, strict=True)]
            if conditioner.takes == "both":
                lists = [[(label, one) for one in own] for label, own in zip(labels, lists, strict=True)]
        self.values = [values[0] for values in lists]
        distinct = list(dict.fromkeys(chain(*lists)))
        rows = {value: row for row, value in enumerate(distinct)}
        self._conditions = conditioner.parse(distinct) if distinct else tokens.labels
        self._rows = [[rows[value] for value in values] for values in lists]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.codes[rows], self._conditions[[self._rows[row][0] for row in rows]]

    def __getitems__(self, views: list[View]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(self.codes[index], self._conditions[self._drawn(turn, index)]) for turn, index in views]

    def _drawn(self, turn: int, index: int) -> int:
        """Return the row of a view's condition."""
        rows = self._rows[index]
        if len(rows) == 1:
            return rows[0]
        return rows[random.Random(f"{self.seed} {turn} {index} caption").randrange(len(rows))]


def _first(schedule: Schedule, scales: int | None) -> Schedule:
    """Return the first scales of a schedule; all for None.

    Raises:
        VartkError: there are not so many, or the codes come one by one.
    """
    if scales is None:
        return schedule
    if schedule.raster or scales > len(schedule.grids):
        have = "raster order, which has one scale" if schedule.raster else f"{len(schedule.grids)} scales"
        raise VartkError(f"train.transformer.scales={scales}, but the schedule has {have}; leave scales out")
    return Schedule(schedule.grids[:scales], schedule.reference or schedule.latent)


def _card(config: Config, takes: str) -> str:
    labels = "--prompt TEXT" if takes == "caption" else "--class 0,1"
    classes = "" if takes == "caption" else f"\nClasses: {', '.join(config.classes)}\n"
    return (
        "# A vartk model\n\n"
        f"Trained by vartk on the dataset `{config.dataset.name}`: "
        f"{config.train.transformer.steps} steps of its transformer.\n\n"
        f"    vartk sample FOLDER {labels} --count 4 --out DIR\n{classes}"
    )
