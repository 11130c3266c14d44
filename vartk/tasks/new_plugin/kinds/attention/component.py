"""The attention backend `my-name`.

Legend: B batch, S and T query and key tokens, H heads, D head dim.
"""

from dataclasses import dataclass

import torch

from vartk_registry.interfaces import AttentionRequest


@dataclass(frozen=True)
class MyComponent:
    """A few queries at a time, so that no matrix of all queries and keys is held."""

    rows: int

    def unavailable(self) -> str:
        """Return an empty string: it runs everywhere."""
        return ""

    def unsupported(self, request: AttentionRequest) -> list[str]:
        """Return why a request cannot be served."""
        return ["it has no dropout"] if request.dropout else []

    def prepare(self, request: AttentionRequest) -> torch.Tensor:
        """Return which queries see which keys, [S, T], once for all calls of a request."""
        return request.mask.dense(request.device)

    def __call__(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        *,
        scale: float,
        plan: torch.Tensor,
        dropout: float,
    ) -> torch.Tensor:
        """Return softmax(scale q k^T + mask) v as [B, S, H, D]."""
        q_BHSD, k_BHTD, v_BHTD = (x.transpose(1, 2) for x in (q, k, v))
        parts = []
        for start in range(0, q.shape[1], self.rows):
            rows = slice(start, start + self.rows)
            scores_BHST = scale * (q_BHSD[:, :, rows] @ k_BHTD.mT).float()
            weights_BHST = scores_BHST.masked_fill(~plan[rows], -torch.inf).softmax(dim=-1)
            parts.append(weights_BHST.to(v.dtype) @ v_BHTD)
        return torch.cat(parts, dim=2).transpose(1, 2)
