"""Names of weights: the original Infinity's, and vartk's for the same tensors.

A chunk of blocks is a module of its own in most files, `block_chunks.CHUNK.module.PLACE`; `module.` is taken
out before names are looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..renaming import first, translated

if TYPE_CHECKING:
    import torch

_TRANSFORMER = (
    ("cfg_uncond", "conditioner.null_tokens"),
    ("pos_start", "transformer.start_position"),
    ("text_norm.weight", "transformer.text_norm.weight"),
    ("text_proj_for_sos.ca.mat_q", "transformer.pooling.query"),
    ("text_proj_for_sos.ca.v_bias", "transformer.pooling.kv.bias"),
    ("text_proj_for_sos.ca.mat_kv.weight", "transformer.pooling.kv.weight"),
    ("text_proj_for_sos.ca.proj.{}", "transformer.pooling.proj.{}"),
    ("text_proj_for_ca.{}.{}", "transformer.text_embed.{}.{}"),
    ("lvl_embed.weight", "transformer.level.weight"),
    ("word_embed.{}", "transformer.embed.{}"),
    ("shared_ada_lin.1.{}", "transformer.shared_modulation.{}"),
    ("head_nm.ada_lin.1.{}", "transformer.head_modulation.{}"),
    ("head.{}", "transformer.head.{}"),
    ("blocks.{}.ada_gss", "transformer.blocks.{}.modulation_offset"),
    ("blocks.{}.sa.scale_mul_1H11", "transformer.blocks.{}.attention.log_scale"),
    ("blocks.{}.sa.mat_qkv.weight", "transformer.blocks.{}.attention.qkv.weight"),
    ("blocks.{}.sa.q_bias", "transformer.blocks.{}.attention.qkv.q_bias"),
    ("blocks.{}.sa.v_bias", "transformer.blocks.{}.attention.qkv.v_bias"),
    ("blocks.{}.sa.proj.{}", "transformer.blocks.{}.attention.proj.{}"),
    ("blocks.{}.ca_norm.{}", "transformer.blocks.{}.cross_norm.{}"),
    ("blocks.{}.ca.mat_q.{}", "transformer.blocks.{}.cross.q.{}"),
    ("blocks.{}.ca.v_bias", "transformer.blocks.{}.cross.kv.bias"),
    ("blocks.{}.ca.mat_kv.weight", "transformer.blocks.{}.cross.kv.weight"),
    ("blocks.{}.ca.proj.{}", "transformer.blocks.{}.cross.proj.{}"),
    ("blocks.{}.ffn.fc1.{}", "transformer.blocks.{}.ffn.fc1.{}"),
    ("blocks.{}.ffn.fc2.{}", "transformer.blocks.{}.ffn.fc2.{}"),
)
_CODER = re.compile(r"((?:encoder|decoder)\..+)\.(?:conv|norm)\.(weight|bias)")
_BUFFERS = re.compile(r"quantize[r]?\.lfq\.mask|(?:.*\.)?zero_k_bias")
_CHUNKED = re.compile(r"block_chunks\.(\d+)\.(?:module\.)?(\d+)\.(.+)")


def tokenizer_state(original: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of `bsq_vae` from an original tokenizer's, its buffers left out.

    Raises:
        KeyError: with every name that is not such a tokenizer's.
    """
    matches = {name: _CODER.fullmatch(name) for name in original if not _BUFFERS.fullmatch(name)}
    if unknown := [name for name, match in matches.items() if match is None]:
        raise KeyError(*unknown)
    return {".".join(match.groups()): original[name] for name, match in matches.items() if match}


def transformer_state(original: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of `infinity` ("transformer.") and `text` ("conditioner.") from an original's.

    Raises:
        KeyError: with every name that is not an Infinity's.
    """
    weights, unknown = {}, []
    for name, plain in unchunked(original).items():
        if _BUFFERS.fullmatch(name):
            continue
        ours = first(plain, _TRANSFORMER)
        if ours is None:
            unknown.append(name)
        else:
            weights[ours] = _shaped(ours, original[name])
    if unknown:
        raise KeyError(*unknown)
    return weights


def unchunked(names: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return each name with the number of its block in the whole model, `blocks.N`."""
    chunks = [match for name in names if (match := _CHUNKED.fullmatch(name))]
    size = 1 + max((int(match[2]) for match in chunks), default=0)
    plain = {name: name for name in names}
    for match in chunks:
        plain[match[0]] = f"blocks.{int(match[1]) * size + int(match[2])}.{match[3]}"
    return plain


def original_name(name: str) -> str:
    """Return the original's name of one of vartk's weights, blocks not in chunks."""
    if name.startswith(("encoder.", "decoder.")):
        module, _, kind = name.rpartition(".")
        return f"{module}.{'norm' if 'norm' in module.rpartition('.')[2] else 'conv'}.{kind}"
    found = (translated(name, ours, original) for original, ours in _TRANSFORMER)
    return next((each for each in found if each is not None), name)


def _shaped(ours: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in our shape: the original's factors broadcast, and its keys have no bias."""
    import torch

    if ours.endswith("log_scale"):
        return tensor.flatten()
    if ours.endswith("pooling.query"):
        return tensor.squeeze(0)
    if ours.endswith("kv.bias"):
        return torch.cat((torch.zeros_like(tensor), tensor))
    return tensor
