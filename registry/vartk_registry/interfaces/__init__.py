"""The interface of every kind of component; shapes are in the docstrings.

Legend: B batch, S and T query and key tokens, H heads, D head dim, C width, L tokens of all scales,
n tokens of one scale, V classes of a code, K scales.
"""

from .attention import Attend, AttentionBackend, AttentionRequest
from .cache import (
    AttendingState,
    CachePlan,
    CacheState,
    CacheStrategy,
    Calibratable,
    Calibration,
    DrawingStrategy,
    GroupingState,
    MergingState,
    PartialStrategy,
    Seam,
    UnconditionalStrategy,
)
from .conditioner import Condition, Conditioner, EncodingConditioner, ImitatingConditioner
from .dataset import Example, ImageDataset, SizedDataset
from .discriminator import Discriminator
from .feature import Feature, VectorFeature
from .generator import Generated, Generator, TrainableGenerator
from .guidance import Guidance, LayerGuidance
from .importer import Exporter, Imported, Importer
from .logger import Logger
from .metric import Metric, MomentsMetric, SingleSetMetric
from .quantizer import CodeSpace, FittedQuantizer, Quantized, Quantizer, RestartingQuantizer
from .sampler import Draw, Randomness, Sampler
from .schedule import Grid, LimitedSchedules, Schedule, ScheduleFactory
from .tokenizer import FittedTokenizer, LatentTokenizer, TilingTokenizer, Tokenizer, TokenizerOutput
from .transformer import GuidedSession, Session, Transformer

__all__ = [
    "Attend",
    "AttendingState",
    "AttentionBackend",
    "AttentionRequest",
    "CachePlan",
    "CacheState",
    "CacheStrategy",
    "Calibratable",
    "Calibration",
    "CodeSpace",
    "Condition",
    "Conditioner",
    "Discriminator",
    "Draw",
    "DrawingStrategy",
    "EncodingConditioner",
    "Example",
    "Exporter",
    "Feature",
    "FittedQuantizer",
    "FittedTokenizer",
    "Generated",
    "Generator",
    "Grid",
    "GroupingState",
    "Guidance",
    "GuidedSession",
    "ImageDataset",
    "ImitatingConditioner",
    "Imported",
    "Importer",
    "LatentTokenizer",
    "LayerGuidance",
    "LimitedSchedules",
    "Logger",
    "MergingState",
    "Metric",
    "MomentsMetric",
    "PartialStrategy",
    "Quantized",
    "Quantizer",
    "Randomness",
    "RestartingQuantizer",
    "Sampler",
    "Schedule",
    "ScheduleFactory",
    "Seam",
    "Session",
    "SingleSetMetric",
    "SizedDataset",
    "TilingTokenizer",
    "Tokenizer",
    "TokenizerOutput",
    "TrainableGenerator",
    "Transformer",
    "UnconditionalStrategy",
    "VectorFeature",
]
