"""The dataset `my-name`."""

import random

from PIL import Image, ImageDraw

from vartk_registry.interfaces import Example


class MyComponent:
    """Drawn discs in three colours: replace it by what reads your images.

    Args:
        split: "train" or "validation", which have different discs.
        count: number of images of a split.
        size: their side in pixels.
    """

    def __init__(self, *, split: str, count: int, size: int) -> None:
        self.classes = ["red", "green", "blue"]
        self.skipped: list[str] = []
        self._split, self._count, self._size = split, count, size

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Example:
        index = range(len(self))[index]
        place = random.Random(f"{self._split} {index}")  # the same image each time
        radius = place.uniform(0.1, 0.25) * self._size
        x, y = (place.uniform(radius, self._size - radius) for _ in range(2))
        label = index % len(self.classes)
        image = Image.new("RGB", (self._size, self._size), "white")
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(image).ellipse(box, fill=self.classes[label])
        return Example(image, label, f"a {self.classes[label]} disc")
