"""Finds logits and images that are not finite, without waiting for the device at each scale."""

from __future__ import annotations

import torch

from vartk_registry import VartkError

from .inference.precision import Precision


class Overflow:
    """Flags on the device, one for the logits of each scale and one for the images.

    Args:
        steps: the number of scales.
        precision: in which the generation runs, for the message.
    """

    def __init__(self, steps: int, device: torch.device, precision: Precision) -> None:
        self._flags = torch.zeros(steps + 1, dtype=torch.bool, device=device)
        self._precision = precision

    def watch_logits(self, step: int, logits: torch.Tensor) -> None:
        """Set the flag of a scale by its logits [..., V]; a class may have -inf, but not all of them."""
        self._flags[step] = ~logits.amax(dim=-1).isfinite().all()

    def watch_images(self, images: torch.Tensor) -> None:
        """Set the flag of the images."""
        self._flags[-1] = ~images.amax().isfinite()

    def take(self, other: Overflow) -> None:
        """Take over the flags of the logits."""
        self._flags[:-1] = other._flags[:-1]

    def check(self) -> None:
        """Wait for the device; `VartkError` names the first scale whose flag is set."""
        flags = self._flags.tolist()
        if not any(flags):
            return
        steps, step = len(flags) - 1, flags.index(True)
        where = f"scale {step + 1} of {steps}: the logits are" if step < steps else "the decoded images are"
        if self._precision.dtype is torch.float16:
            advice = "numbers overflow in precision=fp16; take precision=bf16 or fp32"
        else:
            advice = (
                "a weight of the model is, or a setting such as guidance.scale is too large; vartk.save "
                "names such weights"
            )
        raise VartkError(f"{where} NaN or infinite: {advice}")
