"""Training: two stages, one loop."""

from .generator import GeneratorStage
from .journal import Reporter
from .judge import Judge
from .loop import train
from .run import Run
from .stage import Stage
from .start import start_from, start_tokenizer
from .tokenizer import TokenizerStage
from .transformer import TransformerStage

__all__ = [
    "GeneratorStage",
    "Judge",
    "Reporter",
    "Run",
    "Stage",
    "TokenizerStage",
    "TransformerStage",
    "start_from",
    "start_tokenizer",
    "train",
]
