"""Parameters of the `var` transformer; the defaults are those of VAR-d16."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class VarConfig:
    """Size and regularisation of the transformer."""

    depth: int = param(16, "number of blocks", low=1)
    width: int | None = param(None, "channels of a token; 64 x depth where not given", low=1)
    heads: int | None = param(None, "attention heads; depth where not given", low=1)
    patch: int = param(
        1, "side of the squares of codes that are one token, on the scales that they tile; 1 is VAR", low=1
    )
    mlp_ratio: float = param(4.0, "hidden width of the feed-forward, in widths", above=0)
    context: int | None = param(
        None,
        "earlier scales that a scale attends to beside itself, in scales; all where not given. 0 is HMAR: "
        "what came before is in its input alone",
        low=0,
    )
    shared_adaln: bool = param(False, "one AdaLN projection for all blocks, with an offset each")
    l2_norm: bool = param(
        True,
        "unit queries and keys, and a learned scale a head; else the scale 0.25/sqrt(head dim)",
    )
    drop_path: float | None = param(
        None,
        "drop path of the last block, linear from 0; 0.1 x depth/24 where not given",
        low=0,
        high=0.99,
    )
    dropout: float = param(
        0.0, "dropout of attention weights and of both sub-layers' outputs", low=0, high=0.99
    )
    gain_init: float = param(
        1e-3, "factor on the initial AdaLN gains (1e-4 for d24, 1e-5 for d30, 5e-6 for d36)", low=0
    )
    norm_eps: float = param(1e-6, "epsilon of the layer norms", above=0)
    checkpointing: bool = param(
        False, "compute each block a second time in the backward pass: less memory, more time"
    )
