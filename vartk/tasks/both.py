"""Both stages of training in one go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vartk_registry import VartkError

from ..components import plugins
from ..config import Composed, Config, Layer, compose, load_layers
from ..engine.recipes import tokenize_dataset, tokenizer_layer, train_tokenizer, train_transformer
from ..engine.training import Reporter
from ..environment import launched_rank
from ..files import refuse_existing
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
        resume: go on where it was stopped, each stage with the configuration that it began with.

    Raises:
        VartkError: one of the folders exists, or there is nothing to resume; errors of training.
    """
    if launched_rank() is not None:
        raise VartkError(
            "`vartk train both` runs in one process; with torchrun: train tokenizer, then tokenize (without "
            "torchrun), then train transformer"
        )
    first, tokens, second = out / "tokenizer", out / "tokens", out / "transformer"
    if resume and not first.exists():
        raise VartkError(f"{out} is not a run that could be resumed; leave --resume out")
    if not resume:
        for part in (first, tokens, second):
            refuse_existing(part)

    began = [run for run in (second, first) if run.exists()]  # either knows all keys of both stages

    def composed(*more: Layer) -> Composed[Config]:
        layers = load_layers(str(began[0]) if began else config, plugins())
        return compose(Config, [*layers, *more, overrides], plugins())

    setting = composed()
    tokenizer = train_tokenizer(
        setting,
        first,
        reporter=reporter(add_bar("1/2 tokenizer", setting.config.train.tokenizer.steps)),
        device=device,
        resume=first.exists(),
    )
    setting = composed(tokenizer_layer(tokenizer, plugins()))
    if not tokens.exists():
        tokenize_dataset(setting.config, tokenizer, tokens, device=device, progress=split_bars(add_bar))
    return train_transformer(
        setting,
        tokenizer,
        tokens,
        second,
        reporter=reporter(add_bar("2/2 transformer", setting.config.train.transformer.steps)),
        device=device,
        resume=second.exists(),
    )
