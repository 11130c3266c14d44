"""The check of loggers."""

from __future__ import annotations

import math

import torch

from ..interfaces import Logger
from .rules import require


def check_logger(logger: Logger) -> None:
    """Check a logger of a run at its start by the calls that a run makes, and close it."""
    image = torch.rand(3, 8, 12, generator=torch.Generator().manual_seed(0))
    before, values = image.clone(), {"loss": 1.5, "lr": 1e-3}
    for step in (1, 2):
        logger.log(step, values)
        logger.log(step, {"val_loss": math.nan, "grad_norm": math.inf})
        logger.picture(step, image)
    logger.close()
    require(values == {"loss": 1.5, "lr": 1e-3}, "log must leave the numbers it is given as they are")
    require(torch.equal(image, before), "picture must leave the image it is given as it is")
