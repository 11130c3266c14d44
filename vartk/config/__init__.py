"""Configurations: typed keys, layers that are merged and checked, and where each value came from."""

from .calibration import CALIBRATION
from .compose import Composed, ConfigErrors, Layer, compose, leaves, model_part, plain
from .schema import (
    AUTO,
    CHAIN,
    NO_ADVERSARY,
    NO_FEATURE,
    NO_LOGGER,
    OWN,
    AugmentConfig,
    Config,
    EvalConfig,
    ModelConfig,
    SamplingConfig,
    Slot,
    StageConfig,
    TokenizerTraining,
    TransformerTraining,
)
from .sources import load_layers, nest, parse_overrides, read_yaml, with_preset

__all__ = [
    "AUTO",
    "CALIBRATION",
    "CHAIN",
    "NO_ADVERSARY",
    "NO_FEATURE",
    "NO_LOGGER",
    "OWN",
    "AugmentConfig",
    "Composed",
    "Config",
    "ConfigErrors",
    "EvalConfig",
    "Layer",
    "ModelConfig",
    "SamplingConfig",
    "Slot",
    "StageConfig",
    "TokenizerTraining",
    "TransformerTraining",
    "compose",
    "leaves",
    "load_layers",
    "model_part",
    "nest",
    "parse_overrides",
    "plain",
    "read_yaml",
    "with_preset",
]
