"""A decoder of latents of one shape, recorded."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from ..scale import Decode
from .recorder import Recorder


class RecordedDecoder:
    """Decodes latents of the shape of `f_hat` by a recording.

    Raises:
        RuntimeError: the decoder does what cannot be recorded.
    """

    def __init__(self, recorder: Recorder, decode: Decode, f_hat: Tensor) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        with torch.inference_mode(False), torch.no_grad():
            self._f_hat = f_hat.clone()
            self._images = recorder.record(lambda: decode(self._f_hat))

    def nbytes(self) -> int:
        """Return the memory that the recording holds."""
        return self._recorder.nbytes()

    def __call__(self, f_hat: Tensor) -> Tensor:
        """Return the images of latents."""
        with self._lock, self._recorder.turn():
            self._f_hat.copy_(f_hat)
            self._recorder.replay(0)
            return self._images.clone()
