"""Infers a model's configuration from the names and shapes of the original's weights."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vartk_registry import VartkError
from vartk_registry.interfaces import Imported, Schedule

from .export import original_tokenizer, original_transformer, require_original
from .keys import original_name, tokenizer_state, transformer_state
from .state import State, named, notes, read_state

PUBLISHED = {
    680: (1, 2, 3, 4, 5, 6, 8, 10, 13, 16),
    2240: (1, 2, 3, 4, 6, 9, 13, 18, 24, 32),
}
"""Sides of the published schedules, by their number of tokens."""


class VarImporter:
    """Reads `vae*.pth` and `var*.pth`, or a training checkpoint that holds both.

    Args:
        heads, cosine, schedule: what the files may not tell (see `VarImporterConfig`).
        ema: take the EMA weights of a file that has plain ones as well.
    """

    def __init__(self, *, heads: int | None, cosine: bool, schedule: list[int] | None, ema: bool) -> None:
        self.heads = heads
        self.cosine = cosine
        self.schedule = schedule
        self.ema = ema

    def __call__(self, tokenizer: Path, transformer: Path | None) -> Imported:
        """Return the configuration and weights in the files.

        Raises:
            VartkError: a file is missing, damaged, of another kind or has unknown entries, or the two
                do not belong together.
        """
        vae = read_state(tokenizer, "VAR tokenizer (VQVAE)", ema=self.ema)
        config = self._tokenizer_config(vae)
        stride = 2 ** (len(config["tokenizer"]["multipliers"]) - 1)
        weights = named(tokenizer_state, vae, "VAR")
        if transformer is None:
            self._check_ema(vae)
            config |= _geometry(self._schedule_of_tokenizer(vae), stride)
            name_of = partial(original_name, present=vae.tensors.keys())
            return Imported(config, weights, None, name_of, notes(vae))
        var = read_state(transformer, "VAR transformer", ema=self.ema)
        self._check_ema(vae, var)
        _check_fit(vae, var)
        config |= _geometry(self._schedule_of(var), stride)
        config |= self._transformer_config(var)
        present = vae.tensors.keys() | var.tensors.keys()
        name_of = partial(original_name, present=present)
        return Imported(config, weights, named(transformer_state, var, "VAR"), name_of, notes(vae, var))

    def export(
        self,
        config: Mapping[str, Any],
        schedule: Schedule,
        tokenizer: Mapping[str, torch.Tensor],
        transformer: Mapping[str, torch.Tensor] | None,
    ) -> dict[str, dict[str, torch.Tensor]]:
        """Return the state dicts of vae.pth and var.pth; `VartkError` if the original lacks a part."""
        require_original(config, schedule, with_transformer=transformer is not None)
        files = {"vae.pth": original_tokenizer(tokenizer, schedule, config["tokenizer"]["phi"])}
        if transformer is not None:
            files["var.pth"] = original_transformer(transformer, schedule)
        return files

    def _check_ema(self, *states: State) -> None:
        """Raise `VartkError` if EMA weights are asked for and no file has any."""
        if self.ema and not any(state.ema for state in states):
            files = " and ".join(str(state.path) for state in states)
            raise VartkError(f"ema=true, but there are no EMA weights in {files}; leave ema out")

    def _tokenizer_config(self, vae: State) -> dict[str, Any]:
        classes, latent = vae.shape("quantize.embedding.weight", 2)
        width = vae.shape("encoder.conv_in.weight", 4)[0]
        levels = vae.count(r"encoder\.down\.(\d+)\..*")
        widths = [vae.shape(f"encoder.down.{i}.block.0.conv1.weight", 4)[0] for i in range(levels)]
        phis = r"quantize\.quant_resi\.(?:qresi_ls\.)?(\d+)\..*"
        return {
            "tokenizer": {
                "name": "var_vqvae",
                "channels": width,
                "multipliers": [w // width for w in widths],
                "blocks": vae.count(r"encoder\.down\.0\.block\.(\d+)\..*"),
                "latent": latent,
                "attention": "encoder.mid.attn_1.qkv.weight" in vae.tensors,
                "phi": vae.count(phis) or 1,
            },
            "quantizer": {"name": "vq-cosine" if self.cosine else "vq", "classes": classes},
        }

    def _transformer_config(self, var: State) -> dict[str, Any]:
        classes, width = var.shape("class_emb.weight", 2)
        l2_norm = "blocks.0.attn.scale_mul_1H11" in var.tensors
        if l2_norm:
            heads = var.shape("blocks.0.attn.scale_mul_1H11", 4)[1]
            if self.heads not in (None, heads):
                raise VartkError(f"{var.path} has {heads} heads, not {self.heads}; leave heads out")
        else:
            heads = self.heads or max(1, width // 64)
        if width % heads:
            raise VartkError(f"{var.path}: width {width} cannot have {heads} heads; give heads=N")
        return {
            "conditioner": {"name": "class", "count": classes - 1},
            "transformer": {
                "name": "var",
                "depth": var.count(r"blocks\.(\d+)\..*"),
                "width": width,
                "heads": heads,
                "mlp_ratio": var.shape("blocks.0.ffn.fc1.weight", 2)[0] / width,
                "shared_adaln": "shared_ada_lin.1.weight" in var.tensors,
                "l2_norm": l2_norm,
            },
        }

    def _schedule_of(self, var: State) -> Sequence[int]:
        tokens, scales = var.shape("pos_1LC", 3)[1], var.shape("lvl_embed.weight", 2)[0]
        given = tuple(self.schedule or ())
        if "lvl_1L" in var.tensors:
            sizes = Counter(var.tensors["lvl_1L"].flatten().tolist())
            sides: Sequence[int] = tuple(math.isqrt(sizes[level]) for level in sorted(sizes))
            if given not in ((), sides):
                raise VartkError(
                    f"{var.path} has the schedule {list(sides)}, not {list(given)}; leave it out"
                )
        else:
            sides = given or PUBLISHED.get(tokens, ())
        if sum(side**2 for side in sides) != tokens or len(sides) != scales:
            tried = f"the sides {list(sides)}" if sides else "a published schedule"
            raise VartkError(
                f"{var.path} has {scales} scales (lvl_embed.weight) of {tokens} tokens in all (pos_1LC), "
                f"which are not the squares of {tried}; give schedule=[1,2,...]"
            )
        return sides

    def _schedule_of_tokenizer(self, vae: State) -> Sequence[int]:
        """Return the sides given, or the published ones: a tokenizer's weights fit any schedule."""
        sides = self.schedule or PUBLISHED[680]
        usage = vae.tensors.get("quantize.ema_vocab_hit_SV")
        if not self.schedule and (usage is None or len(usage) != len(sides)):
            scales = "an unknown number of" if usage is None else len(usage)
            raise VartkError(
                f"{vae.path} was trained on {scales} scales, and a tokenizer does not tell their sides; "
                "give schedule=[1,2,...]"
            )
        return sides


def _check_fit(vae: State, var: State) -> None:
    """Raise `VartkError` if the transformer was not trained on the tokenizer's codes."""
    classes, latent = vae.shape("quantize.embedding.weight", 2)
    pairs = (
        ("inputs of width", var.shape("word_embed.weight", 2)[1], latent),
        ("a vocabulary of", var.shape("head.weight", 2)[0], classes),
    )
    for what, wanted, had in pairs:
        if wanted != had:
            raise VartkError(
                f"{var.path} and {vae.path} do not belong together: the transformer has {what} {wanted}, "
                f"the tokenizer's is {had}"
            )


def _geometry(sides: Sequence[int], stride: int) -> dict[str, Any]:
    return {
        "image_size": sides[-1] * stride,
        "schedule": {"name": "custom", "grids": list(sides)},
    }
