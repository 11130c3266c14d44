"""Training: two stages, one loop."""

from .journal import Reporter
from .loop import train
from .run import Run
from .stage import Stage
from .tokenizer import TokenizerStage
from .transformer import TransformerStage

__all__ = ["Reporter", "Run", "Stage", "TokenizerStage", "TransformerStage", "train"]
