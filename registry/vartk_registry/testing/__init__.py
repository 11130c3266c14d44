"""The conformance kit: checks that a plugin author runs in their own tests (torch is needed).

Each `check_*` raises AssertionError with a sentence that names the rule of the interface which is
broken. The inputs are small, random with a fixed seed, and on the CPU.
"""

from .attention import TOLERANCES, check_attention, dense_attend
from .cache import check_cache
from .component import check_component
from .data import check_dataset, check_metric
from .discriminator import check_discriminator
from .feature import check_feature
from .generator import check_generator
from .importer import check_importer
from .logger import check_logger
from .model import check_conditioner, check_transformer
from .parts import Averages, Codebook, KeepAll
from .sampling import SeededRandom, check_guidance, check_sampler, check_schedule
from .tokens import check_quantizer, check_tokenizer

__all__ = [
    "TOLERANCES",
    "Averages",
    "Codebook",
    "KeepAll",
    "SeededRandom",
    "check_attention",
    "check_cache",
    "check_component",
    "check_conditioner",
    "check_dataset",
    "check_discriminator",
    "check_feature",
    "check_generator",
    "check_guidance",
    "check_importer",
    "check_logger",
    "check_metric",
    "check_quantizer",
    "check_sampler",
    "check_schedule",
    "check_tokenizer",
    "check_transformer",
    "dense_attend",
]
