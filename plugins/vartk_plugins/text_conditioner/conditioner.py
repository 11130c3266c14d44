"""Prompts as conditions: token ids to features, a frozen encoder's or learned ones.

A batch holds the ids of a prompt's tokens, `NULL` where the null condition stands in a token's place, and
`PAD` behind the last token. So the null condition has as many tokens as the prompt which it stands against.

Legend: B batch, N tokens, C width.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vartk_registry import VartkError, shown
from vartk_registry.interfaces import Condition

from .encoders import Encoder
from .kept import Kept
from .pooled import Pooled
from .random_words import RandomWords

logger = logging.getLogger(__name__)

PAD, NULL = -1, -2
"""What stands in a batch where there is no token, and where a token of the null condition is."""

AT_ONCE = 64
"""Texts that are read at once where a layer is fitted to all."""

ROUND = 8
"""Batches are padded to a multiple of this many tokens: few shapes, which can be prepared for."""


class TextConditioner(nn.Module):
    """The tokens of a prompt, and their mean as a vector.

    With `vector="learned"` the vector has a layer of its own, and the null condition a vector of its own.

    The encoder is no part of the module: it is frozen, and not stored with a model. Its features are brought
    to the transformer's width by a learned layer where they have another one.

    Args:
        width: of the transformer's conditions.
        classes: not used.
        encoder, model, length, vector, tokens: see `TextConfig`.

    Raises:
        VartkError: the encoder's width is not known and its files cannot be read.
    """

    takes = "caption"

    def __init__(
        self,
        *,
        width: int,
        classes: Sequence[str],
        encoder: str,
        model: str | None,
        length: int | None,
        vector: str,
        tokens: bool,
    ) -> None:
        super().__init__()
        self.choices: list[str] = []
        self.encoder = RandomWords(width) if encoder == "random" else Encoder(encoder, model)
        self.length = self.encoder.length if length is None else length
        self.tokens = tokens
        self.null_tokens = nn.Parameter(torch.empty(self.length, width))
        nn.init.trunc_normal_(self.null_tokens, std=1 / math.sqrt(width))
        own = self.encoder.width
        self.proj = nn.Identity() if own == width else nn.Linear(own, width)
        self.pooled = Pooled(own, width) if vector == "learned" else None
        self._kept = Kept()

    def parse(self, values: Sequence[Any]) -> Tensor:
        """Return the ids [B, N] of prompts; None and an empty one are the null condition.

        A prompt that is too long is cut, and a warning says so. Raises `VartkError` for what is no text.
        """
        rows = torch.full((len(values), self.length), PAD)
        for row, value in zip(rows, values, strict=True):
            if value is not None and not isinstance(value, str):
                raise VartkError(f"prompt {shown(value)} is no text; give a str, as in 'a red apple'")
            text = (value or "").strip()
            ids = self.encoder.ids(text, self.length) if text else [NULL]
            row[: len(ids)] = torch.tensor(ids)
            if len(ids) == self.length and (count := self.encoder.count(text)) > self.length:
                logger.warning(
                    "a prompt has %d tokens, and the encoder reads %d: the end of %r is cut",
                    count,
                    self.length,
                    text,
                )
        return rows

    def forward(self, batch: Tensor) -> Condition:
        """Return the condition of ids [B, N]: vector [B, C], tokens [B, n, C], n at most N, and lengths."""
        if batch.is_meta:  # nothing can be read of it: the longest condition
            tokens_BNC = self.null_tokens.expand(len(batch), -1, -1)
            return Condition(tokens_BNC.mean(dim=1), tokens_BNC if self.tokens else None)
        lengths_B = (batch != PAD).sum(dim=1)
        longest = min(-(-int(lengths_B.max()) // ROUND) * ROUND, self.length)
        features_BNT = self._features(batch, longest)
        null_BN1 = (batch[:, :longest] == NULL)[..., None]
        inside_BN1 = (torch.arange(longest, device=batch.device) < lengths_B[:, None])[..., None]
        tokens_BNC = torch.where(null_BN1, self.null_tokens[:longest], self.proj(features_BNT))
        pooled_BNT = tokens_BNC if self.pooled is None else features_BNT
        vector = (pooled_BNT * inside_BN1).sum(dim=1) / lengths_B[:, None]
        if self.pooled is not None:
            vector = self.pooled(vector, batch[:, 0] == NULL)
        if not self.tokens:
            return Condition(vector)
        return Condition(vector, tokens_BNC, lengths_B)

    def null(self, size: int) -> Tensor:
        """Return `size` times the null condition of one token, [B, N], which needs no encoder."""
        return self.parse([None] * size).to(self.null_tokens.device)

    def drop(self, batch: Tensor, dropped: Tensor) -> Tensor:
        """Return ids [B, N] with the null condition, of as many tokens, where `dropped` [B] is true."""
        return torch.where(dropped[:, None] & (batch != PAD), NULL, batch)

    def encoder_info(self) -> dict[str, Any]:
        """Return what the features depend on; see `EncodingConditioner`."""
        return {**self.encoder.info(), "width": self.encoder.width, "length": self.length}

    def encode(self, values: Sequence[str], device: torch.device) -> list[Tensor]:
        """Return the encoder's features [n, T] of each text, cut to the length."""
        return self.encoder.features([self.encoder.ids(text.strip(), self.length) for text in values], device)

    def remember(self, values: Sequence[str], features: Sequence[Tensor]) -> None:
        """Take features of `encode` that were made before, of any type."""
        self._kept.store((tuple(self.encoder.ids(text.strip(), self.length)) for text in values), features)

    def imitate(self, values: Sequence[Any], vectors: Tensor, null: Tensor) -> str:
        """Fit the layer of the vector to vectors [M, C] of texts; see `ImitatingConditioner`."""
        if self.pooled is None:
            return "not fitted; conditioner.vector=learned can be"
        means = []
        for start in range(0, len(values), AT_ONCE):
            batch = self.parse(values[start : start + AT_ONCE])
            features_BNT = self._features(batch, self.length)
            means.append(features_BNT.sum(dim=1) / (batch != PAD).sum(dim=1, keepdim=True))
        share = self.pooled.fit(torch.cat(means), vectors.cpu(), null)
        return (
            f"the vectors of {len(values)} texts fitted to it, which explains {share:.1%} of their variance"
        )

    def _features(self, batch: Tensor, longest: int) -> Tensor:
        """Return the encoder's features [B, longest, T], zeros where there is none."""
        rows = [tuple(id for id in row if id >= 0) for row in batch.tolist()]
        if missing := self._kept.missing(rows):
            made = self.encoder.features([list(ids) for ids in missing], batch.device)
            self._kept.add(missing, made)
        empty = torch.zeros(0, self.encoder.width)
        found = [self._kept.find(ids) if ids else empty for ids in rows]
        self._kept.trim()
        filled = torch.zeros(longest, self.encoder.width, device=batch.device)
        rows_NT = [features.to(batch.device, torch.float32) for features in found]
        return pad_sequence([*rows_NT, filled], batch_first=True)[:-1]
