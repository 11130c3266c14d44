"""Shards for tests of the dataset `webdataset`, and what it reads of them."""

import io
import tarfile

import numpy as np
from PIL import Image

from vartk_registry import discover

REGISTRY = discover(["vartk_plugins.webdataset"]).registry


def build(train, split="train", **params):
    train = [str(path) for path in train] if isinstance(train, list) else str(train)
    return REGISTRY.build("dataset", "webdataset", {"train": train, **params}, split=split)


def image(number, kind="PNG"):
    """An image that `numbers` knows again."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), (10 * number, 0, 0)).save(stream, kind)
    return stream.getvalue()


def damaged_jpeg():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    return stream.getvalue()[: stream.tell() // 2]


def shard(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def numbers(dataset):
    return [round(dataset[index].image.getpixel((2, 2))[0] / 10) for index in range(len(dataset))]


def told(dataset):
    return [(example.label, example.caption) for example in dataset]
