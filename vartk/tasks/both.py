"""Both stages of training in one go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vartk_registry import VartkError

from ..components import plugins
from ..config import Composed, Config, Layer, compose, load_layers
from ..engine.device import as_device
from ..engine.distributed import processes
from ..engine.recipes import (
    check_transformer,
    tokenize_dataset,
    tokenizer_layer,
    train_tokenizer,
    train_transformer,
)
from ..engine.training import Reporter
from ..files import refuse_existing
from ..hub import start_of
from .sample import Bar


def split_bars(add_bar: Callable[[str, int], Bar]) -> Callable[[str, int, int], None]:
    """Return a progress function of `tokenize` that shows each split on a bar of its own."""
    bars: dict[str, Bar] = {}

    def progress(split: str, done: int, total: int) -> None:
        if split not in bars:
            bars[split] = add_bar(f"tokenize {split}", total)
        bars[split].update(done)

    return progress


def train_both(
    config: str,
    overrides: Layer,
    out: Path,
    *,
    add_bar: Callable[[str, int], Bar],
    reporter: Callable[[Bar], Reporter],
    device: str,
    resume: bool = False,
) -> Path:
    """Train a model in the folders tokenizer, tokens and transformer of `out`, and return its folder.

    Args:
        config: a preset or a YAML file; overrides: what is set beside it.
        reporter: wraps a bar for a stage.
        device: as `vartk.load` takes it; of several processes that torchrun started each has its own.
        resume: go on where it was stopped, each stage with the configuration that it began with.

    Raises:
        VartkError: one of the folders exists, or there is nothing to resume; errors of training.
    """
    first, tokens, second = out / "tokenizer", out / "tokens", out / "transformer"
    if resume and not first.exists():
        raise VartkError(f"{out} is not a run that could be resumed; leave --resume out")
    if not resume:
        for part in (first, tokens, second):
            refuse_existing(part)

    with processes(as_device(device)) as (world, own):
        # as the first process sees it, which makes them
        present = world.told([part for part in (first, tokens, second) if part.exists()])
        began = [run for run in (second, first) if run in present]  # either knows all keys of both stages

        def composed(*more: Layer) -> Composed[Config]:
            layers = load_layers(str(began[0]) if began else config, plugins())
            return compose(Config, [*layers, *more, overrides], plugins())

        setting = composed()
        check_transformer(setting.config)
        tokenizer = train_tokenizer(
            setting,
            first,
            reporter=reporter(add_bar("1/2 tokenizer", setting.config.train.tokenizer.steps)),
            device=own,
            resume=first in present,
            start=start_of(setting.config, "tokenizer", resume=first in present),
        )
        setting = composed(tokenizer_layer(tokenizer, plugins()))
        if tokens not in present:
            tokenize_dataset(setting.config, tokenizer, tokens, device=own, progress=split_bars(add_bar))
        return train_transformer(
            setting,
            tokenizer,
            tokens,
            second,
            reporter=reporter(add_bar("2/2 transformer", setting.config.train.transformer.steps)),
            device=own,
            resume=second in present,
            start=start_of(setting.config, resume=second in present),
        )
