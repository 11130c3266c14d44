"""Parameters of the transformers; the defaults are those of VAR-d16 and Infinity-2B."""

from __future__ import annotations

from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class VarConfig:
    """Size and regularisation of the transformer."""

    depth: int = param(16, "number of blocks", low=1)
    width: int | None = param(None, "channels of a token; if not given, 64 x depth", low=1)
    heads: int | None = param(None, "attention heads; if not given, depth", low=1)
    patch: int = param(
        1, "side of the squares of codes that form one token, on scales that they tile; 1 is VAR", low=1
    )
    mlp_ratio: float = param(4.0, "hidden width of the feed-forward layer, as a multiple of width", above=0)
    context: int | None = param(
        None,
        "number of earlier scales that a scale attends to; if not given, all. With 0 it attends only to "
        "itself, as in HMAR, and sees earlier scales only through its input",
        low=0,
    )
    neighbourhood: int | None = param(
        None,
        "with context: an odd number k; a token attends to k x k tokens around its place in each of these "
        "scales, as in MVAR with context=1. If not given, to all",
        low=1,
    )
    positions: str = param(
        "learned",
        "learned: a vector for each place of each scale; rope2d: queries and keys are turned by their place "
        "in the image, so that any grids do",
        choices=("learned", "rope2d"),
    )
    cross_attention: bool = param(
        False,
        "each block also reads the tokens of a text (conditioner=text), through output layers that start at "
        "zero, so that a trained model can learn texts from where it is",
    )
    shared_adaln: bool = param(False, "one AdaLN projection for all blocks, with an offset per block")
    l2_norm: bool = param(
        True,
        "unit queries and keys with a learned scale per head; if false, the scale 0.25/sqrt(head dim)",
    )
    drop_path: float | None = param(
        None,
        "drop path of the last block, linear from 0; if not given, 0.1 x depth/24",
        low=0,
        high=0.99,
    )
    dropout: float = param(
        0.0, "dropout of the attention weights and of the outputs of both sub-layers", low=0, high=0.99
    )
    gain_init: float = param(
        1e-3, "factor of the initial AdaLN gains (1e-4 for d24, 1e-5 for d30, 5e-6 for d36)", low=0
    )
    norm_eps: float = param(1e-6, "epsilon of the layer norms", above=0)
    checkpointing: bool = param(False, "recompute each block in the backward pass: less memory, more time")


@dataclass(kw_only=True, slots=True)
class InfinityConfig:
    """Parameters of `infinity`."""

    depth: int = param(32, "number of blocks", low=1)
    width: int = param(2048, "channels of a token", low=1)
    heads: int = param(16, "attention heads", low=1)
    text_width: int = param(2048, "width of the text's tokens: of flan-t5-xl", low=1)
    patch: int = param(1, "side of the squares of codes that form one token; 2 for the 8B model", low=1)
    levels: int = param(15, "largest number of scales", low=1)
    mlp_ratio: float = param(
        4.0,
        "hidden width of the feed-forward layer, as a multiple of width, rounded to a multiple of 256",
        above=0,
    )
    drop_path: float | None = param(
        None, "drop path of the last block, linear from 0; if not given, 0.1 x depth/24", low=0, high=0.99
    )
    gain_init: float = param(1e-5, "factor of the initial AdaLN gains", low=0)
    norm_eps: float = param(1e-6, "epsilon of the layer norms", above=0)
    checkpointing: bool = param(False, "recompute each block in the backward pass: less memory, more time")
