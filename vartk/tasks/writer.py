"""Writes images in threads, while the next ones are made."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import torch
from PIL import Image

from ..images import save_image, to_uint8

AHEAD = 3
"""Batches that may wait to be written, so that a slow disk bounds the memory."""


class ImageWriter:
    """A context in which images are written as PNG files; when it ends, all of them are.

    Images leave a GPU as 8-bit integers, through memory that the GPU writes by itself.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="images")
        self._batches: deque[list[Future[None]]] = deque()

    def __enter__(self) -> ImageWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while error is None and self._batches:
                self._finish_oldest()
        finally:
            self._threads.shutdown(cancel_futures=True)

    def write(self, images: torch.Tensor, paths: Sequence[Path]) -> None:
        """Write images [N, 3, H, W] in [0, 1] to N paths, now or while the caller goes on.

        Raises:
            VartkError: an earlier image could not be written.
        """
        if len(self._batches) == AHEAD:
            self._finish_oldest()
        pixels_NHWC = to_uint8(images).permute(0, 2, 3, 1)
        copied = None
        if pixels_NHWC.is_cuda:
            there = torch.empty(pixels_NHWC.shape, dtype=torch.uint8, pin_memory=True)
            pixels_NHWC = there.copy_(pixels_NHWC, non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
        jobs = zip(pixels_NHWC, paths, strict=True)
        self._batches.append([self._threads.submit(_write, *job, copied) for job in jobs])

    def _finish_oldest(self) -> None:
        for job in self._batches.popleft():
            job.result()


def _write(pixels_HWC: torch.Tensor, path: Path, copied: torch.cuda.Event | None) -> None:
    if copied is not None:
        copied.synchronize()
    save_image(Image.fromarray(pixels_HWC.numpy()), path)
