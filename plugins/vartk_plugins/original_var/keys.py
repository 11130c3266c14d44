"""Names of weights: the original VAR's, and vartk's for the same tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_TOKENIZER = (
    (r"quantize\.embedding\.weight", r"quantizer.codebook.weight"),
    (r"quantize\.quant_resi\.qresi_ls\.(\d+)\.(weight|bias)", r"phi.\1.\2"),
    (r"quantize\.quant_resi\.qresi\.(weight|bias)", r"phi.0.\1"),
    (r"quantize\.quant_resi\.(\d+)\.(weight|bias)", r"phi.\1.\2"),
    (r"((?:encoder|decoder|quant_conv|post_quant_conv)\..+)", r"\1"),
)
_TRANSFORMER = (
    (r"class_emb\.weight", r"conditioner.embedding.weight"),
    (r"pos_start", r"transformer.start_position"),
    (r"pos_1LC", r"transformer.position"),
    (r"lvl_embed\.weight", r"transformer.level.weight"),
    (r"word_embed\.(weight|bias)", r"transformer.embed.\1"),
    (r"shared_ada_lin\.1\.(weight|bias)", r"transformer.shared_modulation.\1"),
    (r"blocks\.(\d+)\.ada_lin\.1\.(weight|bias)", r"transformer.blocks.\1.modulation.\2"),
    (r"blocks\.(\d+)\.ada_gss", r"transformer.blocks.\1.modulation_offset"),
    (r"blocks\.(\d+)\.attn\.scale_mul_1H11", r"transformer.blocks.\1.attention.log_scale"),
    (r"blocks\.(\d+)\.attn\.mat_qkv\.weight", r"transformer.blocks.\1.attention.qkv_weight"),
    (r"blocks\.(\d+)\.attn\.(q_bias|v_bias)", r"transformer.blocks.\1.attention.\2"),
    (r"blocks\.(\d+)\.attn\.proj\.(weight|bias)", r"transformer.blocks.\1.attention.proj.\2"),
    (r"blocks\.(\d+)\.ffn\.(fc[12])\.(weight|bias)", r"transformer.blocks.\1.ffn.\2.\3"),
    (r"head_nm\.ada_lin\.1\.(weight|bias)", r"transformer.head_modulation.\1"),
    (r"head\.(weight|bias)", r"transformer.head.\1"),
)
_BUFFERS = re.compile(
    r"quantize\.ema_vocab_hit_SV|lvl_1L|attn_bias_for_masking|blocks\.\d+\.attn\.zero_k_bias"
)


def tokenizer_state(original: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of `var_vqvae` from an original VQVAE's; `KeyError` lists unknown names."""
    return _renamed(original, _TOKENIZER)


def transformer_state(original: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of `var` ("transformer.") and of `class` ("conditioner.") from an original VAR's.

    Raises:
        KeyError: with every name that is not a VAR's.
    """
    renamed = _renamed(original, _TRANSFORMER)
    # the original keeps one factor a head in a shape that broadcasts over [B, H, L, D]
    return {k: v.flatten() if k.endswith("log_scale") else v for k, v in renamed.items()}


def _renamed(
    original: Mapping[str, torch.Tensor], rules: Iterable[tuple[str, str]]
) -> dict[str, torch.Tensor]:
    renamed: dict[str, torch.Tensor] = {}
    unknown = []
    for name, tensor in original.items():
        if _BUFFERS.fullmatch(name):
            continue
        for pattern, replacement in rules:
            if match := re.fullmatch(pattern, name):
                renamed[match.expand(replacement)] = tensor
                break
        else:
            unknown.append(name)
    if unknown:
        raise KeyError(*unknown)
    return renamed
