"""Layers with the weights of others, kept in the form and the precision that compute fastest.

Each computes in autocast's precision where autocast is on, else in that of its weights, and makes the
form of a precision when it first needs it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vartk_registry.precision import compute_dtype, cpu_multiplies


def packs(dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether weights of a dtype are packed for oneDNN on a device."""
    return device.type == "cpu" and cpu_multiplies(dtype)


def has_gelu(layer: nn.Module) -> bool:
    """Return whether a layer is a linear one that says, by `activation`, that a GELU follows."""
    return isinstance(layer, nn.Linear) and getattr(layer, "activation", None) == "gelu_tanh"


class FastLinear(nn.Linear):
    """A linear layer; on a CPU its weight is packed for oneDNN, the operator of torch.compile's freezing.

    Args:
        linear: whose weights these are; they are shared, and must not change. Where it has a GELU, this has
            one too, on a CPU in one go with the product.
    """

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.gelu = has_gelu(linear)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self._forms: dict[tuple[torch.dtype, bool], tuple[Tensor, Tensor | None]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Return x W^T + b, or its activation."""
        dtype = compute_dtype(self.weight)
        # torch.compile cannot look into a packed weight
        packed = not torch.compiler.is_compiling() and packs(dtype, x.device)
        weight, bias = self._form(dtype, packed)
        if packed:
            fused = ("gelu", [], "tanh") if self.gelu else ("none", [], "")
            return torch.ops.mkldnn._linear_pointwise(x.to(dtype), weight, bias, *fused)
        out = F.linear(x.to(dtype), weight, bias)
        return F.gelu(out, approximate="tanh") if self.gelu else out

    def _form(self, dtype: torch.dtype, packed: bool) -> tuple[Tensor, Tensor | None]:
        """Return the weight and the bias in a precision, made at the first call."""
        if (dtype, packed) not in self._forms:
            weight = self.weight.detach().to(dtype)
            bias = None if self.bias is None else self.bias.detach().to(dtype)
            weight = torch.ops.mkldnn._reorder_linear_weight(weight) if packed else weight
            self._forms[dtype, packed] = weight, bias
        return self._forms[dtype, packed]


class ChannelsLastConv2d(nn.Module):
    """A convolution, or a transposed one, whose weight, input and output are channels_last.

    Args:
        conv: whose weights these are; they are shared, and must not change.
    """

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.conv = conv
        self._forms: dict[torch.dtype, tuple[Tensor, Tensor | None]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x [B, C, H, W]."""
        weight, bias = self.conv.weight, self.conv.bias
        dtype = compute_dtype(weight)
        if dtype not in self._forms:
            form = weight.detach().to(dtype, memory_format=torch.channels_last)
            self._forms[dtype] = form, None if bias is None else bias.detach().to(dtype)
        x = x.to(dtype, memory_format=torch.channels_last)
        conv = self.conv
        if isinstance(conv, nn.ConvTranspose2d):
            placed = conv.stride, conv.padding, conv.output_padding, conv.groups, conv.dilation
            return F.conv_transpose2d(x, *self._forms[dtype], *placed)
        return conv._conv_forward(x, *self._forms[dtype])
