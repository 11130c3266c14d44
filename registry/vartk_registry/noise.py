"""Random numbers that are functions of a key: no generator, so that they can be recorded and repeated.

Legend: B images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_GOLDEN = -1640531527  # 2^32 divided by the golden ratio, as int32: an odd step that visits all integers


class KeyedNoise:
    """Random numbers for each image of a batch, beside those that draw the codes.

    An image's numbers depend on its own key alone, so they are the same in any batch and on any device.

    Args:
        keys: [B] int64, one for each image.
    """

    def __init__(self, keys: torch.Tensor) -> None:
        self._keys = keys

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._keys)

    def uniform(self, index: int, shape: Sequence[int]) -> torch.Tensor:
        """Return uniform numbers between 0 and 1, both excluded, [B, *shape], fp32.

        The same index gives the same numbers again. Take another index for each use.
        """
        import torch

        keys_B1 = self._keys[:, None]
        high = mixed((keys_B1 >> 32).to(torch.int32) + offset(2 * index + 1))
        start = mixed(keys_B1.to(torch.int32) + offset(2 * index) + high)
        stride = high | 1
        places = torch.arange(math.prod(shape), dtype=torch.int32, device=keys_B1.device)
        return unit(mixed(places * stride + start), torch.float32).reshape(len(self), *shape)


def offset(index: int) -> int:
    """Return what an index, counted from 0, adds to a key: another int32 for each."""
    return (index * _GOLDEN + 2**31) % 2**32 - 2**31


def mixed(x: torch.Tensor) -> torch.Tensor:
    """Return int32 integers whose bits all depend on all bits of x (the hash "lowbias32" of Wellons, 2018).

    Its products wrap; its shifts are those of unsigned integers. Changes x in place.
    """
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32)):
        x ^= (x >> shift) & (2 ** (32 - shift) - 1)
        x *= factor
    x ^= (x >> 16) & 0xFFFF
    return x


def unit(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return int32 integers as numbers from 2^-33 to 1 - 2^-24, in their order."""
    return x.to(dtype).mul_(2.0**-32).add_(0.5).clamp_(2.0**-33, 1 - 2.0**-24)
