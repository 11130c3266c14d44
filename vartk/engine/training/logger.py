"""The logger of a run: it is named in the configuration, and cannot end the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import Logger

from ...components import plugins
from ...config import NO_LOGGER, Config, Slot, plain
from .stage import Stage


def require_logger(slot: Slot) -> None:
    """Raise `MissingRequirement` where the logger's library is not installed."""
    registry = plugins().registry
    if slot.name != NO_LOGGER:
        registry.require(registry.find("logger", slot.name))


@contextmanager
def open_logger(
    stage: Stage, config: Config, folder: Path, step: int, event: Callable[[str], None]
) -> Iterator[Logger | None]:
    """Give the logger of a stage, if it has one, while the block runs; it is closed however that ends.

    Args:
        step: the step after which the run goes on.
        event: is told if the logger fails.

    Raises:
        VartkError: it cannot start.
    """
    slot = stage.train.logger
    if slot.name == NO_LOGGER:
        yield None
        return
    try:
        logger = plugins().registry.build(
            "logger", slot.name, slot.params, folder=folder, config=plain(config), step=step
        )
    except Exception as error:  # a library may fail in any way
        raise VartkError(
            f"logger {slot.name!r} could not start: {error}. {folder} is kept: go on with --resume, "
            f"or with --resume train.{stage.name}.logger={NO_LOGGER}"
        ) from error
    guarded = _Guarded(slot.name, logger, event)
    try:
        yield guarded
    finally:
        guarded.close()


class _Guarded:
    """A logger whose first error is told of; from then on it is left out."""

    def __init__(self, name: str, logger: Logger, event: Callable[[str], None]) -> None:
        self._name, self._logger, self._event = name, logger, event
        self._failed = False

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See `Logger`."""
        if not self._failed:
            self._call(self._logger.log, step, values)

    def picture(self, step: int, image: torch.Tensor) -> None:
        """See `Logger`."""
        if not self._failed:
            self._call(self._logger.picture, step, image)

    def close(self) -> None:
        """See `Logger`; one that failed is closed too."""
        self._call(self._logger.close)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception as error:  # the network, a full disk, a bug of a plugin
            if not self._failed:
                self._event(
                    f"logger {self._name!r} failed and is left out from now on, metrics.jsonl goes on: "
                    f"{type(error).__name__}: {error}"
                )
            self._failed = True
