"""Infers a model's configuration from the names and shapes of the original's weights."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vartk_registry import VartkError
from vartk_registry.interfaces import Imported

from .keys import original_name, tokenizer_state, transformer_state
from .reading import State, read_state

PUBLISHED = {
    680: (1, 2, 3, 4, 5, 6, 8, 10, 13, 16),
    2240: (1, 2, 3, 4, 6, 9, 13, 18, 24, 32),
}
"""Sides of the published schedules, by their number of tokens."""


class VarImporter:
    """Reads `vae*.pth` and `var*.pth`, or a training checkpoint that holds both.

    Args:
        heads, cosine, schedule: what the files may not tell (see `VarImporterConfig`).
    """

    def __init__(self, *, heads: int | None, cosine: bool, schedule: list[int] | None) -> None:
        self.heads = heads
        self.cosine = cosine
        self.schedule = schedule

    def __call__(self, tokenizer: Path, transformer: Path | None) -> Imported:
        """Return the configuration and weights in the files.

        Raises:
            VartkError: a file is missing, damaged, of another kind or has unknown entries, or the two
                do not belong together.
        """
        vae = read_state(tokenizer, "vae_local", "quantize.embedding.weight", "VAR tokenizer (VQVAE)")
        config = self._tokenizer_config(vae)
        stride = 2 ** (len(config["tokenizer"]["multipliers"]) - 1)
        if transformer is None:
            sides = self.schedule or PUBLISHED[680]
            config |= _geometry(sides, stride)
            return Imported(config, _named(tokenizer_state, vae, tokenizer), None, original_name)
        var = read_state(transformer, "var_wo_ddp", "pos_start", "VAR transformer")
        if var["word_embed.weight"].shape[1] != vae["quantize.embedding.weight"].shape[1]:
            raise VartkError(
                f"{transformer} takes inputs of width {var['word_embed.weight'].shape[1]}, but "
                f"{tokenizer} has codes of width {vae['quantize.embedding.weight'].shape[1]}: they "
                "do not belong together"
            )
        config |= _geometry(self._schedule_of(var, transformer), stride)
        config |= self._transformer_config(var, transformer)
        return Imported(
            config,
            _named(tokenizer_state, vae, tokenizer),
            _named(transformer_state, var, transformer),
            original_name,
        )

    def _tokenizer_config(self, vae: State) -> dict[str, Any]:
        classes, latent = vae["quantize.embedding.weight"].shape
        width = vae["encoder.conv_in.weight"].shape[0]
        levels = 1 + _largest(vae, r"encoder\.down\.(\d+)\.block\.0\.conv1\.weight")
        widths = [vae[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(levels)]
        return {
            "tokenizer": {
                "name": "var_vqvae",
                "channels": width,
                "multipliers": [w // width for w in widths],
                "blocks": 1 + _largest(vae, r"encoder\.down\.0\.block\.(\d+)\.conv1\.weight"),
                "latent": latent,
                "attention": "encoder.mid.attn_1.qkv.weight" in vae,
                "phi": sum(bool(re.fullmatch(r"quantize\.quant_resi\..*weight", k)) for k in vae),
            },
            "quantizer": {"name": "vq-cosine" if self.cosine else "vq", "classes": classes},
        }

    def _transformer_config(self, var: State, path: Path) -> dict[str, Any]:
        classes, width = var["class_emb.weight"].shape
        scales = var.get("blocks.0.attn.scale_mul_1H11")
        heads = scales.shape[1] if scales is not None else self.heads or max(1, width // 64)
        if width % heads:
            raise VartkError(f"{path}: width {width} cannot have {heads} heads; give heads=N")
        return {
            "conditioner": {"name": "class", "count": classes - 1},
            "transformer": {
                "name": "var",
                "depth": 1 + _largest(var, r"blocks\.(\d+)\.ffn\.fc1\.weight"),
                "width": width,
                "heads": heads,
                "mlp_ratio": var["blocks.0.ffn.fc1.weight"].shape[0] / width,
                "shared_adaln": "shared_ada_lin.1.weight" in var,
                "l2_norm": scales is not None,
            },
        }

    def _schedule_of(self, var: State, path: Path) -> Sequence[int]:
        tokens, scales = var["pos_1LC"].shape[1], var["lvl_embed.weight"].shape[0]
        if self.schedule:
            sides: Sequence[int] = self.schedule
        elif "lvl_1L" in var:
            sides = [math.isqrt(n) for n in var["lvl_1L"].flatten().bincount().tolist()]
        else:
            sides = PUBLISHED.get(tokens, ())
        if sum(side**2 for side in sides) != tokens or len(sides) != scales:
            raise VartkError(
                f"{path} has {scales} scales of {tokens} tokens in all, which are not the squares of "
                f"the sides {list(sides)}; give schedule=[1,2,...]"
            )
        return sides


def _geometry(sides: Sequence[int], stride: int) -> dict[str, Any]:
    return {
        "image_size": sides[-1] * stride,
        "schedule": {"name": "custom", "grids": list(sides)},
    }


def _largest(state: State, pattern: str) -> int:
    matches = (re.fullmatch(pattern, name) for name in state)
    return max((int(match[1]) for match in matches if match), default=0)


def _named(rename: Any, state: State, path: Path) -> State:
    try:
        return rename(state)
    except KeyError as error:
        names = error.args
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise VartkError(f"{path} has entries that no VAR has: {', '.join(names[:5])}{more}") from error
