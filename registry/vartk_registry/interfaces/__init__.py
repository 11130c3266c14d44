"""The interface of every kind of component; shapes are in the docstrings.

Legend: B batch, S and T query and key tokens, H heads, D head dim, C width, L tokens of all scales,
n tokens of one scale, V classes of a code, K scales.
"""

from .attention import Attend, AttentionBackend, AttentionRequest
from .cache import CachePlan, CacheState, CacheStrategy
from .conditioner import Condition, Conditioner
from .dataset import Example, ImageDataset
from .discriminator import Discriminator
from .feature import Feature
from .guidance import Guidance
from .importer import Imported, Importer
from .logger import Logger
from .metric import Metric
from .quantizer import CodeSpace, Quantized, Quantizer
from .sampler import Draw, Randomness, Sampler
from .schedule import Grid, Schedule, ScheduleFactory
from .tokenizer import Tokenizer, TokenizerOutput
from .transformer import Session, Transformer

__all__ = [
    "Attend",
    "AttentionBackend",
    "AttentionRequest",
    "CachePlan",
    "CacheState",
    "CacheStrategy",
    "CodeSpace",
    "Condition",
    "Conditioner",
    "Discriminator",
    "Draw",
    "Example",
    "Feature",
    "Grid",
    "Guidance",
    "ImageDataset",
    "Imported",
    "Importer",
    "Logger",
    "Metric",
    "Quantized",
    "Quantizer",
    "Randomness",
    "Sampler",
    "Schedule",
    "ScheduleFactory",
    "Session",
    "Tokenizer",
    "TokenizerOutput",
    "Transformer",
]
