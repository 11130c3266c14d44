"""Names of weights: the original VAR's, and vartk's for the same tensors."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from .renaming import first, translated

if TYPE_CHECKING:
    import torch

# {} stands for an index, or for `weight` or `bias`; the pairs read the same in both directions
_TOKENIZER = (
    ("quantize.embedding.weight", "quantizer.codebook.weight"),
    ("quantize.quant_resi.qresi_ls.{}.{}", "phi.{}.{}"),
    ("quantize.quant_resi.qresi.{}", "phi.0.{}"),
    ("quantize.quant_resi.{}.{}", "phi.{}.{}"),
)
_TRANSFORMER = (
    ("class_emb.weight", "conditioner.embedding.weight"),
    ("pos_start", "transformer.start_position"),
    ("pos_1LC", "transformer.position"),
    ("lvl_embed.weight", "transformer.level.weight"),
    ("word_embed.{}", "transformer.embed.{}"),
    ("shared_ada_lin.1.{}", "transformer.shared_modulation.{}"),
    ("blocks.{}.ada_lin.1.{}", "transformer.blocks.{}.modulation.{}"),
    ("blocks.{}.ada_gss", "transformer.blocks.{}.modulation_offset"),
    ("blocks.{}.attn.scale_mul_1H11", "transformer.blocks.{}.attention.log_scale"),
    ("blocks.{}.attn.mat_qkv.weight", "transformer.blocks.{}.attention.qkv.weight"),
    ("blocks.{}.attn.q_bias", "transformer.blocks.{}.attention.qkv.q_bias"),
    ("blocks.{}.attn.v_bias", "transformer.blocks.{}.attention.qkv.v_bias"),
    ("blocks.{}.attn.proj.{}", "transformer.blocks.{}.attention.proj.{}"),
    ("blocks.{}.ffn.fc1.{}", "transformer.blocks.{}.ffn.fc1.{}"),
    ("blocks.{}.ffn.fc2.{}", "transformer.blocks.{}.ffn.fc2.{}"),
    ("head_nm.ada_lin.1.{}", "transformer.head_modulation.{}"),
    ("head.{}", "transformer.head.{}"),
)
_SAME = re.compile(r"(encoder|decoder|quant_conv|post_quant_conv)\..+")
_BUFFERS = re.compile(
    r"quantize\.ema_vocab_hit_SV|lvl_1L|attn_bias_for_masking|blocks\.\d+\.attn\.zero_k_bias"
)


def tokenizer_state(original: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of `var_vqvae` from an original VQVAE's, its buffers left out.

    Raises:
        KeyError: with every name that is not a VQVAE's.
    """
    return _renamed(original, _TOKENIZER)


def transformer_state(original: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of `var` ("transformer.") and `class` ("conditioner.") from an original VAR's.

    Raises:
        KeyError: with every name that is not a VAR's.
    """
    renamed = _renamed(original, _TRANSFORMER)
    # the original keeps one factor a head in a shape that broadcasts over [B, H, L, D]
    return {k: v.flatten() if k.endswith("log_scale") else v for k, v in renamed.items()}


def original_name(name: str, present: Collection[str] = ()) -> str:
    """Return the original's name of one of vartk's weights.

    Where the original has several (phi's, by how it is shared), it is that of a module in `present`.
    """
    rules = (*_TOKENIZER, *_TRANSFORMER)
    found = (translated(name, ours, original) for original, ours in rules)
    names = [each for each in found if each is not None]
    modules = {other.rpartition(".")[0] for other in present}
    return next((n for n in names if n.rpartition(".")[0] in modules), names[0] if names else name)


def _renamed(
    original: Mapping[str, torch.Tensor], rules: Sequence[tuple[str, str]]
) -> dict[str, torch.Tensor]:
    renamed: dict[str, torch.Tensor] = {}
    unknown = []
    for name, tensor in original.items():
        if _BUFFERS.fullmatch(name):
            continue
        ours = name if rules is _TOKENIZER and _SAME.fullmatch(name) else first(name, rules)
        if ours is None:
            unknown.append(name)
        else:
            renamed[ours] = tensor
    if unknown:
        raise KeyError(*unknown)
    return renamed
