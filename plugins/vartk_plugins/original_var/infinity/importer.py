"""Infers a model's configuration from the names and shapes of the original Infinity's weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from vartk_registry import VartkError
from vartk_registry.interfaces import Imported

from ..state import State, named, notes, read_state
from .keys import original_name, tokenizer_state, transformer_state, unchunked

SMALL = 12
"""The depth of the model that was published for 256 px; the others are for 1024 px."""

T5 = 2048
"""The width of flan-t5-xl, which the published models read text with."""


class InfinityImporter:
    """Reads `infinity_vae*.pth` and `infinity_*.pth`, or the folder of the 8B model's shards.

    Args:
        image_size, text_encoder, ema: see `InfinityImporterConfig`.
    """

    def __init__(self, *, image_size: list[int] | None, text_encoder: str | None, ema: bool) -> None:
        self.image_size = image_size
        self.text_encoder = text_encoder
        self.ema = ema

    def __call__(self, tokenizer: Path, transformer: Path | None) -> Imported:
        """Return the configuration and weights in the files.

        Raises:
            VartkError: a file is missing, damaged, of another kind or has unknown entries, or the two
                do not belong together.
        """
        vae = read_state(tokenizer, "tokenizer of Infinity (BSQ-VAE)", ema=self.ema)
        config = _tokenizer_config(vae)
        weights = named(tokenizer_state, vae, "Infinity tokenizer")
        if transformer is None:
            config |= self._geometry(depth=None, patch=1)
            return Imported(config, weights, None, original_name, notes(vae))
        infinity = read_state(transformer, "transformer of Infinity", ema=self.ema)
        sizes = _sizes(infinity, vae)
        config |= self._geometry(sizes["depth"], sizes["patch"])
        config |= {"conditioner": self._conditioner(infinity), "transformer": {"name": "infinity", **sizes}}
        predictor = named(transformer_state, infinity, "Infinity")
        return Imported(config, weights, predictor, original_name, notes(vae, infinity))

    def _geometry(self, depth: int | None, patch: int) -> dict[str, Any]:
        side = 256 if depth == SMALL else 1024
        return {
            "image_size": self.image_size or [side, side],
            "schedule": {"name": "infinity", "patch": patch},
            "sampling": {
                "guidance": {"name": "constant", "scale": 3.0},
                "sampler": {"name": "categorical", "top_p": 0.97, "temperature": 0.5 if patch == 1 else 1.0},
            },
        }

    def _conditioner(self, infinity: State) -> dict[str, Any]:
        length, width = infinity.shape("cfg_uncond", 2)
        if self.text_encoder is None and width != T5:
            raise VartkError(
                f"{infinity.path} reads texts of width {width}, not flan-t5-xl's {T5}; give the encoder, a "
                "folder or a name on the hub, as text_encoder=FOLDER"
            )
        return {"name": "text", "encoder": "t5", "model": self.text_encoder, "length": length}


def _tokenizer_config(vae: State) -> dict[str, Any]:
    channels = vae.shape("encoder.conv_in.conv.weight", 4)[0]
    levels = vae.count(r"encoder\.down\.(\d+)\..*")
    widths = [vae.shape(f"encoder.down.{i}.block.0.conv1.conv.weight", 4)[0] for i in range(levels)]
    return {
        "tokenizer": {
            "name": "bsq_vae",
            "channels": channels,
            "multipliers": [width // channels for width in widths],
            "blocks": vae.count(r"encoder\.down\.0\.block\.(\d+)\..*"),
            "latent": vae.shape("encoder.conv_out.conv.weight", 4)[0],
        },
        "quantizer": {"name": "bsq"},
    }


def _sizes(infinity: State, vae: State) -> dict[str, Any]:
    """Return the transformer's parameters; `VartkError` if it was not trained on the tokenizer's bits."""
    width, inputs = infinity.shape("word_embed.weight", 2)
    bits = vae.shape("encoder.conv_out.conv.weight", 4)[0]
    patch = math.isqrt(inputs // bits)
    if patch**2 * bits != inputs:
        raise VartkError(
            f"{infinity.path} and {vae.path} do not belong together: the transformer has {inputs} bits a "
            f"token, the tokenizer's codes have {bits}"
        )
    blocks = {plain: name for name, plain in unchunked(infinity.tensors).items()}
    heads, hidden = (
        infinity.shape(blocks.get(f"blocks.0.{key}", f"block_chunks.0.module.0.{key}"), dims)
        for key, dims in (("sa.scale_mul_1H11", 4), ("ffn.fc1.weight", 2))
    )
    return {
        "depth": 1 + max(int(plain.split(".")[1]) for plain in blocks if plain.startswith("blocks.")),
        "width": width,
        "heads": heads[1],
        "text_width": infinity.shape("text_norm.weight", 1)[0],
        "patch": patch,
        "levels": infinity.shape("lvl_embed.weight", 2)[0],
        "mlp_ratio": hidden[0] / width,
    }
