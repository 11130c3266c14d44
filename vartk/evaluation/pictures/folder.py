"""Image files of a folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image

from vartk_registry import VartkError, counted
from vartk_registry.folders import list_files

from ...engine.blend import line_of
from ...engine.data import to_tensor
from ...images import open_image, to_uint8

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
_LOSSY = (".jpg", ".jpeg")
_RECORD = "samples.json"


class Folder:
    """The image files of a folder and of its sub-folders, which are their classes; see `Pictures`.

    Of a folder that `vartk sample` wrote it takes the samples alone, without the grid.

    Raises:
        VartkError: there is no image; while reading: one is damaged.
    """

    def __init__(self, path: Path) -> None:
        names = [name for name in list_files(path).names if Path(name).suffix.lower() in SUFFIXES]
        self.labels: list[int | str] = []
        if (path / _RECORD).is_file():
            labels = json.loads((path / _RECORD).read_text())["labels"]
            self.labels = [line_of(label) for label in labels]
            names = [f"{index:06d}.png" for index in range(len(self.labels))]
        elif all("/" in name for name in names):
            self.labels = [name.partition("/")[0] for name in names]
        if not names:
            raise VartkError(f"{path} has no images: no .npz file and no file of {', '.join(SUFFIXES)}")
        self._path, self._names = path, names
        lossy = sum(Path(name).suffix.lower() in _LOSSY for name in names)
        self.remarks: list[str] = []
        if lossy:
            self.remarks.append(
                f"{counted(lossy, 'image')} of {len(names)} are JPEG files: the compression changes every "
                "distance between sets; save samples as PNG."
            )

    def __len__(self) -> int:
        return len(self._names)

    def batches(self, size: int) -> Iterator[torch.Tensor]:
        """Yield all images as [B, 3, H, W] in 8 bits, at most `size` at once, of one size in a batch."""
        sizes: Counter[tuple[int, int]] = Counter()
        batch: list[torch.Tensor] = []
        for name in self._names:
            image = open_image(self._path / name)
            if batch and (len(batch) == size or batch[0].shape[1:] != (image.height, image.width)):
                yield torch.stack(batch)
                batch = []
            sizes[image.size] += 1
            batch.append(_pixels(image))
        yield torch.stack(batch)
        if len(sizes) > 1:
            shown = ", ".join(f"{n} of {w}x{h}" for (w, h), n in sizes.most_common(3))
            self.remarks.append(f"The images have {len(sizes)} sizes ({shown}); a model's samples have one.")


def _pixels(image: Image.Image) -> torch.Tensor:
    return to_uint8((to_tensor(image) + 1) / 2)
