"""What Python callers give a model: taken as what it must be, or refused with what to type instead."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch

from vartk_registry import UnknownName, VartkError, shown

LIMIT = 1.5
"""The largest magnitude of a pixel: resizing overshoots [-1, 1] a little, other ranges reach farther."""

LARGEST_FACTOR = 100
"""A picture is enlarged by no more: pixels grow with its square, and memory ends."""

_NO_LISTS = (str, bytes, Mapping, Set)
"""What can be iterated over, but is no list: without an order, or of letters or keys."""


def as_images(images: Any, device: torch.device) -> torch.Tensor:
    """Return images [N, 3, H, W] in [-1, 1] in float32 on a device; `VartkError` where they are not."""
    wanted = "images must be floats [N, 3, H, W] in [-1, 1]"
    advice = "give 8-bit pixels as pixels / 127.5 - 1"
    if not isinstance(images, torch.Tensor):
        raise VartkError(f"{wanted}, as a torch.Tensor, not {shown(images)}")
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point() or not _holds_data(images):
        raise VartkError(f"{wanted}, not {images.dtype} {list(images.shape)}{_place(images)}; {advice}")
    if images.numel():
        low, high = torch.stack(images.detach().aminmax()).tolist()
        if not math.isfinite(high - low):
            raise VartkError(f"{wanted}, and some are NaN or infinite; look for them with images.isfinite()")
        if low < -LIMIT or high > LIMIT:
            raise VartkError(f"{wanted}, not from {low:g} to {high:g}; {advice}")
    return images.to(device, torch.float32)


def as_masks(masks: Any, images: torch.Tensor) -> torch.Tensor:
    """Return masks [N, 1, H, W] in [0, 1] for images [N, 3, H, W], on their device.

    Raises:
        VartkError: they are none, of another size, or out of range.
    """
    n, _, h, w = images.shape
    wanted = f"masks must be numbers from 0 (kept) to 1 (drawn) in the shape [{n}, 1, {h}, {w}] or [{h}, {w}]"
    if not isinstance(masks, torch.Tensor):
        raise VartkError(f"{wanted}, as a torch.Tensor, not {shown(masks)}")
    shapes = {(n, 1, h, w), (1, 1, h, w), (n, h, w), (h, w)}
    if tuple(masks.shape) not in shapes or masks.is_complex() or not _holds_data(masks):
        raise VartkError(f"{wanted}, not {list(masks.shape)}{_place(masks)}")
    masks = masks.to(images).view(-1, 1, h, w)
    if masks.numel() and not (masks.min() >= 0 and masks.max() <= 1):
        raise VartkError(f"{wanted}, not from {masks.min():g} to {masks.max():g}; divide 8-bit masks by 255")
    return masks.expand(n, 1, h, w)


def as_codes(codes: Any, device: torch.device) -> list[torch.Tensor]:
    """Return a tensor of codes a scale as 64-bit integers on a device; `VartkError` where there are none."""
    wanted = "codes must be a list with a tensor of integers for each scale, as `encode` returns"
    if not isinstance(codes, (list, tuple)):
        raise VartkError(f"{wanted}, not {shown(codes)}")
    for step, code in enumerate(codes):
        if not isinstance(code, torch.Tensor):
            raise VartkError(f"{wanted}; scale {step} is {shown(code)}")
        if not _is_integral(code.dtype) or not _holds_data(code):
            raise VartkError(f"{wanted}; scale {step} is {code.dtype}{_place(code)}")
    return [code.to(torch.int64).to(device) for code in codes]


def as_labels(labels: Any) -> list[Any]:
    """Return labels as a list: one, several, or a tensor's or array's; the conditioner checks each of them.

    Raises:
        VartkError: there are none, or they have no order.
    """
    given = _plain(labels)
    if given is None or isinstance(given, Set):
        raise VartkError(
            f"labels={shown(labels)} is no list; give one class index or name an image, as in [0, 1]"
        )
    values = list(given) if isinstance(given, Iterable) and not isinstance(given, _NO_LISTS) else [given]
    if not values:
        raise VartkError("no labels were given; give one class index or name an image")
    return values


def seeds_of(seed: int | Sequence[int], count: int) -> list[int]:
    """Return one seed an image: those given, or `count` of them counting up from one.

    Raises:
        VartkError: they are no integers, negative, too large, or not as many as images.
    """
    given = _plain(seed)
    if isinstance(given, Iterable) and not isinstance(given, _NO_LISTS):
        seeds = list(given)
    else:
        seeds = [given + i for i in range(count)] if _is_integer(given) else [given]
    if wrong := [s for s in seeds if not _is_integer(s)]:
        raise VartkError(
            f"seed {shown(wrong[0])} is no integer; give one, as in seed=3, or a list of one an image"
        )
    if len(seeds) != count:
        raise VartkError(f"{len(seeds)} seeds for {count} images; give one seed, or one an image")
    if out_of_range := [s for s in seeds if not 0 <= s < 2**63]:
        raise VartkError(f"seed {out_of_range[0]} is out of range; it must be from 0 to 2^63 - 1")
    return [int(s) for s in seeds]


def as_dtype(dtype: Any) -> torch.dtype:
    """Return the type to save weights in; `VartkError` where it is none of real floating-point numbers."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise VartkError(
            f"dtype={shown(dtype)} is no type of weights; give torch.float32, bfloat16 or float16"
        )
    return dtype


def as_scales(name: str, value: Any, most: int) -> int:
    """Return a number of scales, from 0 to `most`; `VartkError` where it is none."""
    if not is_count(value) or value > most:
        raise VartkError(f"{name}={shown(value)} is out of range; give 0 to {most} scales")
    return int(value)


def as_choice(what: str, value: Any, choices: Collection[str]) -> str:
    """Return one of some names; `UnknownName` where it is none of them."""
    if not isinstance(value, str) or value not in choices:
        raise UnknownName(what, str(value), choices)
    return value


def as_watcher(watch: Any) -> Any:
    """Return what is to be called after each scale, or None; `VartkError` where it cannot be called."""
    if watch is not None and not callable(watch):
        raise VartkError(
            f"watch={shown(watch)} cannot be called; give a function of the images done and the scale's state"
        )
    return watch


def as_path(path: Any, what: str) -> Path:
    """Return a path; `VartkError` where it is none, `what` being what it should lead to."""
    if not isinstance(path, (str, os.PathLike)) or not str(path) or "\0" in str(path):
        raise VartkError(f"{shown(path)} is no {what}; give it as a str or a Path")
    return Path(path)


def _plain(value: Any) -> Any:
    """Return the numbers of a tensor or array as Python's."""
    return value.tolist() if hasattr(value, "tolist") else value


def is_count(value: Any, low: int = 0) -> bool:
    """Return whether a value is an integer from `low` on."""
    return _is_integer(value) and value >= low


def is_factor(value: Any) -> bool:
    """Return whether a side may be multiplied by a value: a number above 0 and up to `LARGEST_FACTOR`."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < value <= LARGEST_FACTOR


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_integral(dtype: torch.dtype) -> bool:
    return not (dtype.is_floating_point or dtype.is_complex or dtype is torch.bool)


def _holds_data(tensor: torch.Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_meta


def _place(tensor: torch.Tensor) -> str:
    """Return where a tensor is, if that is what is wrong with it."""
    return "" if _holds_data(tensor) else f" ({tensor.layout}, on {tensor.device})"
