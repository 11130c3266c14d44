"""The original Infinity's golden models, built of vartk's parts, and their outputs in vartk's order.

The original lists 2x2 codes as one token, channel by channel; here codes go row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import golden
import torch
from torch import Tensor

from vartk_plugins.original_var.infinity.keys import tokenizer_state, transformer_state
from vartk_registry import discover
from vartk_registry.interfaces import CodeSpace, Condition, Schedule

NAMES = ("infinity_tiny", "infinity_tiny_patch")
REGISTRY = discover(
    [f"vartk_plugins.{name}" for name in ("attention", "binary", "full_cache", "var", "var_vqvae")]
).registry


@dataclass(frozen=True)
class Original:
    """A golden model."""

    name: str

    @property
    def facts(self) -> dict[str, Any]:
        return golden.facts(self.name)

    @property
    def arrays(self) -> dict[str, Tensor]:
        return golden.arrays(self.name)

    @property
    def patch(self) -> int:
        return 2 if self.facts["infinity"]["spatial_patchify"] else 1

    @property
    def bits(self) -> int:
        return self.facts["vae"]["bits"]

    @cached_property
    def schedule(self) -> Schedule:
        """Of the tokenizer's grids."""
        grids, reference = self.facts["schedule"], self.facts["final_1M_grid"]
        return Schedule(
            tuple((self.patch * h, self.patch * w) for h, w in grids),
            tuple(self.patch * side for side in reference),
        )

    def codes(self, x_BmD: Tensor, first: int = 0) -> Tensor:
        """Return values of tokens [B, m, bits p p k] as those of codes [B, n, bits k], from a scale on."""
        parts = []
        grids = self.facts["schedule"][first:]
        for (h, w), part in zip(grids, x_BmD.split([h * w for h, w in grids], dim=1), strict=True):
            squares = part.unflatten(-1, (self.bits, self.patch, self.patch, -1)).unflatten(1, (h, w))
            parts.append(squares.permute(0, 1, 4, 2, 5, 3, 6).flatten(1, 4).flatten(2))
        return torch.cat(parts, dim=1)

    @property
    def condition(self) -> Condition:
        return self.texts(self.arrays["text"].split(self.arrays["lens"].tolist()))

    @property
    def null(self) -> Condition:
        rows = golden.weights(self.name, "infinity")["cfg_uncond"]
        return self.texts([rows[:length] for length in self.arrays["lens"]])

    def texts(self, tokens: Any) -> Condition:
        tokens_BNT = torch.nn.utils.rnn.pad_sequence(list(tokens), batch_first=True, padding_value=7.0)
        return Condition(torch.zeros(len(tokens_BNT), 1), tokens_BNT, self.arrays["lens"])

    def transformer(self, **changed: Any) -> Any:
        sizes = self.facts["infinity"]
        params = {
            "depth": sizes["depth"],
            "width": sizes["width"],
            "heads": sizes["heads"],
            "text_width": sizes["text_channels"],
            "patch": self.patch,
            "drop_path": 0.0,
        }
        built = REGISTRY.build(
            "transformer",
            "infinity",
            params | changed,
            schedule=self.schedule,
            space=CodeSpace(2, (self.bits,)),
            channels=self.bits,
        )
        weights = transformer_state(golden.weights(self.name, "infinity"))
        del weights["conditioner.null_tokens"]
        built.load_state_dict({name.removeprefix("transformer."): w for name, w in weights.items()})
        return built.eval()

    def tokenizer(self) -> Any:
        sizes = self.facts["vae"]
        built = REGISTRY.build(
            "tokenizer",
            "bsq_vae",
            {
                "channels": sizes["base_channels"],
                "multipliers": sizes["multipliers"],
                "blocks": sizes["blocks"],
                "latent": sizes["bits"],
            },
            quantizer=lambda dim: REGISTRY.build("quantizer", "bsq", {}, dim=dim),
        )
        built.load_state_dict(tokenizer_state(golden.weights(self.name, "vae")))
        return built.eval()
