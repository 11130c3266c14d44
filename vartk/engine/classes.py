"""Whether the labels of a dataset are the classes of a model."""

from __future__ import annotations

from vartk_registry import VartkError
from vartk_registry.interfaces import ImageDataset

from .generators.model import GeneratorModel
from .model import Model


def require_classes(model: Model | GeneratorModel, dataset: ImageDataset) -> None:
    """Raise `VartkError` where the labels of a dataset are not the classes of a model."""
    named = model.config.classes
    advice = "name the data that it was trained on, with --data CONFIG or dataset=NAME"
    if model.takes == "caption":
        return
    if named and dataset.classes != named:
        raise VartkError(
            f"the dataset's classes are {', '.join(dataset.classes) or 'none'}; the model's are "
            f"{', '.join(named)}; {advice}"
        )
    if len(dataset.classes) != len(model.classes):
        raise VartkError(
            f"the dataset has {len(dataset.classes)} classes, the model {len(model.classes)}; {advice}"
        )
