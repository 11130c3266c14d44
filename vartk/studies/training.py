"""Trains the systems of a study; tokenizers and codes that several systems need are made once."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..components import plugins
from ..config import (
    NO_GENERATOR,
    Composed,
    Config,
    DataConfig,
    Layer,
    StageConfig,
    compose,
    load_layers,
    plain,
)
from ..engine.folder import new_model
from ..engine.recipes import (
    tokenize_dataset,
    tokenizer_layer,
    train_generator,
    train_tokenizer,
    train_transformer,
)
from ..engine.training import Reporter
from ..engine.weightless import weightless
from ..hub import find_model, start_of
from ..tasks.both import split_bars
from ..tasks.sample import Bar
from .study import Study, System

SECONDS = "seconds.json"
"""In a run folder, how long its training took; not there if it was stopped in between."""

DECIDES_TOKENIZER = ("image_size", "tokenizer", "quantizer", "dataset", "augment")
"""The keys that, with the scales and the first stage's settings, make two tokenizers the same."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained system: its run folder, and the commands that train it without the study."""

    run: Path
    commands: Sequence[str]

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.run / "model"


def second_stage(config: Config) -> StageConfig:
    """Return the settings of the stage that trains what draws: a transformer or a generator."""
    return config.train.transformer if config.generator.name == NO_GENERATOR else config.train.generator


class Trainer:
    """Trains systems into the folders `tokenizers`, `tokens` and `runs`, or goes on with what is there.

    Args:
        folder: of the study.
        reporter: wraps a bar for a stage.
    """

    def __init__(
        self,
        study: Study,
        folder: Path,
        *,
        device: str,
        add_bar: Callable[[str, int], Bar],
        reporter: Callable[[Bar], Reporter],
    ) -> None:
        self.study = study
        self.folder = folder
        self.device = device
        self.add_bar = add_bar
        self.reporter = reporter
        self._made: dict[Path, str] = {}

    def composed(self, system: System, *more: Layer) -> Composed[Config]:
        """Return the configuration of a system."""
        layers = load_layers(system.config or self.study.config, plugins())
        return compose(Config, [*layers, *more, self.study.layer(system)], plugins())

    def train(self, system: System) -> Trained:
        """Train a system, or what is left of its training; errors as those of both stages."""
        tokenizer, first = self.tokenizer(system)
        composed = self.composed(system, tokenizer_layer(tokenizer, plugins()))
        run = self.folder / "runs" / system.name
        resume, start = run.exists(), time.perf_counter()
        words = [system.config or self.study.config, *self.study.words(system), "--tokenizer", str(tokenizer)]
        steps = second_stage(composed.config).steps
        if composed.config.generator.name != NO_GENERATOR:
            settings = self._settings(system.name, steps, resume=resume)
            train_generator(composed, tokenizer, run, **settings)
            second = ["vartk", "train", "generator", *words]
        else:
            tokens = self._tokens(composed.config, tokenizer)
            start = time.perf_counter()
            settings = self._settings(system.name, steps, resume=resume)
            train_transformer(
                composed,
                tokenizer,
                tokens,
                run,
                **settings,
                start=start_of(composed.config, resume=resume),
            )
            second = ["vartk", "train", "transformer", *words, "--tokens", str(tokens)]
        if not resume:
            (run / SECONDS).write_text(json.dumps(time.perf_counter() - start))
        return Trained(run, [*first, shlex.join([*second, "--out", str(run)])])

    def tokenizer(self, system: System) -> tuple[Path, list[str]]:
        """Return the model folder of a system's tokenizer, and the command that trains it, if any.

        The tokenizer is trained if that is not done.
        """
        if self.study.tokenizer:
            return find_model(self.study.tokenizer), []
        composed = self.composed(system)
        composed.config.data = DataConfig()  # systems of different shares have one tokenizer
        out = self.folder / "tokenizers" / _digest(_tokenizer_key(composed.config))
        words = ["vartk", "train", "tokenizer", system.config or self.study.config]
        words += [word for word in self.study.words(system) if not word.startswith("data.")]
        command = shlex.join([*words, "--out", str(out)])
        self._made.setdefault(out, command)  # that of the first system which needs it
        done = out / "done"
        if not done.is_file():
            steps = composed.config.train.tokenizer.steps
            resume, began = out.exists(), time.perf_counter()
            settings = self._settings("tokenizer", steps, resume=resume)
            start = start_of(composed.config, "tokenizer", resume=resume)
            train_tokenizer(composed, out, **settings, start=start)
            if not resume:
                (out / SECONDS).write_text(json.dumps(time.perf_counter() - began))
            done.touch()
        return out / "model", [self._made[out]]

    def _tokens(self, config: Config, tokenizer: Path) -> Path:
        stage = config.train.transformer
        key = [
            self.study.tokenizer or tokenizer.parent.name,
            plain(config.dataset),
            plain(config.augment),
            plain(config.data),
            stage.views,
            stage.seed,
        ]
        folder = self.folder / "tokens" / _digest(key)
        if not folder.exists():
            progress = split_bars(self.add_bar)
            tokenize_dataset(config, tokenizer, folder, device=self.device, progress=progress)
        return folder

    def _settings(self, title: str, steps: int, *, resume: bool) -> dict[str, Any]:
        reporter = self.reporter(self.add_bar(title, steps))
        return {"reporter": reporter, "device": self.device, "resume": resume}


def _tokenizer_key(config: Config) -> dict[str, Any]:
    """Return everything that decides a tokenizer's training."""
    with weightless():
        model = new_model(config, plugins(), predictor=False)
    whole = plain(config)
    scales = [list(grid) for grid in model.schedule.grids]
    decides = {key: whole[key] for key in DECIDES_TOKENIZER}
    return {**decides, "scales": scales, "train": whole["train"]["tokenizer"]}


def _digest(key: Any) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:10]
