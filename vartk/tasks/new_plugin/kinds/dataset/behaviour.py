"""What the dataset holds."""

import pytest

from my_plugin.dataset import MyComponent


def test_an_image_shows_its_class():
    dataset = MyComponent(split="train", count=6, size=32)
    example = dataset[4]
    assert (example.label, example.caption) == (1, "a green disc")
    colours = {colour for _, colour in example.image.getcolors()}
    assert colours == {(255, 255, 255), (0, 128, 0)}


def test_the_splits_differ():
    train, validation = (MyComponent(split=split, count=6, size=32) for split in ("train", "validation"))
    assert train[0].image.tobytes() != validation[0].image.tobytes()


def test_an_index_past_the_end_is_refused():
    with pytest.raises(IndexError):
        MyComponent(split="train", count=6, size=32)[6]
