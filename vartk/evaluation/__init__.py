"""A model against real images.

- `data`: which dataset and feature a model is looked at with
- `real_images`: the images that samples are compared with, and the conditions these are sampled under
- `looking`: what a feature sees of a set of images
- `neighbours`: the nearest training images, and near copies of them
- `evaluation`: the whole of `vartk eval`
- `report`: its numbers as tables and as a folder
"""

from ..engine.sets import Seen, set_distances, vector_kinds
from .data import data_config
from .evaluation import Evaluation, Protocol
from .neighbours import Neighbours, near_copies
from .report import report, tables, write_evaluation

__all__ = [
    "Evaluation",
    "Neighbours",
    "Protocol",
    "Seen",
    "data_config",
    "near_copies",
    "report",
    "set_distances",
    "tables",
    "vector_kinds",
    "write_evaluation",
]
