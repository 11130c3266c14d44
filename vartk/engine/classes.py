"""Whether the labels of a dataset are the classes of a model."""

from __future__ import annotations

from vartk_registry import VartkError
from vartk_registry.interfaces import ImageDataset

from .model import Model


def require_classes(model: Model, dataset: ImageDataset) -> None:
    """Raise `VartkError` where the labels of a dataset are not the classes of a model."""
    named, conditioner = model.config.classes, model.predictor.conditioner  # type: ignore[union-attr]
    advice = "name the data that it was trained on, with --data CONFIG or dataset=NAME"
    if conditioner.takes != "label":
        return
    if named and dataset.classes != named:
        raise VartkError(
            f"the dataset's classes are {', '.join(dataset.classes) or 'none'}; the model's are "
            f"{', '.join(named)}; {advice}"
        )
    if len(dataset.classes) != len(conditioner.choices):
        raise VartkError(
            f"the dataset has {len(dataset.classes)} classes, the model {len(conditioner.choices)}; {advice}"
        )
