"""Training mode for modules of which parts are frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def train_what_learns(module: nn.Module) -> None:
    """Put a module into training mode, except parts whose parameters are all frozen.

    Training mode would change those too: batch normalisation moves its statistics.
    """
    module.train()
    for part in module.modules():
        parameters = list(part.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            part.eval()
