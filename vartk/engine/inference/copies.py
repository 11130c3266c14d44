"""Copies of modules for inference, which share their weights and compute with faster layers."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vartk_registry import VartkError

from ..recording.recordings import Recordings
from .layers import ChannelsLastConv2d, FastLinear, has_gelu
from .precision import Precision, precision


def inference_copy(module: nn.Module) -> nn.Module:
    """Return a copy whose layers are faster ones, with the same weights; it is for inference alone.

    A submodule that has a method `folded` is replaced by what it returns for the device: an equal of plain
    layers, such as one `nn.Linear` for a sum of several. A subclass of `nn.Linear` whose
    `activation` is "gelu_tanh" is fused with that.
    """
    shared = {id(t): t for t in _tensors(module)}
    copied = copy.deepcopy(module, shared).eval()
    device = next(copied.parameters()).device
    for parent in list(copied.modules()):
        for name, child in parent.named_children():
            setattr(parent, name, _faster(child, device))
    return copied


@dataclass(frozen=True, slots=True)
class Inference:
    """A model's modules as they are used for inference, and what they were made for.

    Attributes:
        precision: how they compute.
        recordings: of generations with them.
        made_for: the settings, and the state of the weights.
    """

    tokenizer: Any
    transformer: Any
    precision: Precision
    recordings: Recordings
    made_for: tuple[Any, ...]


def prepared(
    last: Inference | None, tokenizer: nn.Module, transformer: nn.Module | None, name: str, *, compiled: bool
) -> Inference:
    """Return a model's modules for inference: `last` if it was made for the same.

    Args:
        name: of the precision.
        compiled: whether the transformer's blocks are compiled.

    Raises:
        VartkError: the device cannot compute in the precision.
    """
    device = next(tokenizer.parameters()).device
    chosen = precision(name, device)
    # a weight that changes, in place or not, needs new copies
    made_for = (name, compiled, *map(_state, (tokenizer, transformer)))
    if last is not None and last.made_for == made_for:
        return last
    if chosen.fast:
        tokenizer = inference_copy(tokenizer)
        transformer = transformer and inference_copy(transformer)
    if compiled and transformer is not None:
        if not hasattr(transformer, "compile_steps"):
            raise VartkError("compile=true: this transformer has no compile_steps; leave compile out")
        if not chosen.fast:
            raise VartkError(f"compile=true compiles a copy, and precision={name} has none; take fp32")
        # a graph a scale on a GPU, where shapes that are known run faster
        transformer.compile_steps(dynamic=device.type == "cpu")
    recordings = Recordings(tokenizer, transformer, chosen, device)
    return Inference(tokenizer, transformer, chosen, recordings, made_for)


def _state(module: nn.Module | None) -> list[tuple[int, int]]:
    if module is None:
        return []
    # what torch.inference_mode() made has no version, and is not to be changed
    return [(t.data_ptr(), 0 if t.is_inference() else t._version) for t in _tensors(module)]


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _faster(layer: nn.Module, device: torch.device) -> nn.Module:
    if hasattr(layer, "folded"):
        layer = layer.folded(device)
    if type(layer) is nn.Linear or has_gelu(layer):
        return FastLinear(layer)
    if type(layer) in (nn.Conv2d, nn.ConvTranspose2d):
        return ChannelsLastConv2d(layer)
    return layer
