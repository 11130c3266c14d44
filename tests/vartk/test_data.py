from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from vartk.config import AugmentConfig
from vartk.engine.data import EndlessBatches, Images, augmented, fit, loader, on_device, to_tensor
from vartk_registry import VartkError
from vartk_registry.interfaces import Example


class Gradients:
    """Images whose pixels tell their place: red is the row, green the column, blue the index."""

    classes, skipped = ("one",), ()

    def __init__(self, count, size=(20, 30)):
        self.count, self.size = count, size

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        h, w = self.size
        rows, columns = np.mgrid[:h, :w]
        pixels = np.stack([rows, columns, np.full((h, w), index)], axis=-1)
        return Example(Image.fromarray(pixels.astype(np.uint8)))


def pixels(image):
    return np.asarray(image).astype(int)


def views(length, batch, seed=0, start=0, stop=None):
    return list(EndlessBatches(length, batch, seed, start, stop or start + 8))


def test_every_pass_is_a_permutation_of_its_own():
    order = [view for batch in views(length=12, batch=4, stop=9) for view in batch]
    passes = {turn: [index for t, index in order if t == turn] for turn in range(3)}
    assert all(sorted(indices) == list(range(12)) for indices in passes.values())
    assert passes[0] != passes[1] != passes[2]
    assert passes[0] != list(range(12))


def test_batches_cross_from_one_pass_to_the_next():
    flat = [view for batch in views(length=5, batch=4, stop=10) for view in batch]
    assert len(flat) == 40
    assert [turn for turn, _ in flat] == [i // 5 for i in range(40)]
    assert all(count == 1 for count in Counter(flat).values())


def test_a_batch_may_be_larger_than_the_data():
    [batch] = views(length=3, batch=7, stop=1)
    assert [turn for turn, _ in batch] == [0, 0, 0, 1, 1, 1, 2]


def test_order_depends_on_the_seed_and_the_step_alone():
    assert views(12, 4, start=5, stop=9) == views(12, 4, stop=9)[5:]
    assert views(12, 4, seed=1) != views(12, 4, seed=0)
    assert len(EndlessBatches(12, 4, 0, 5, 9)) == 4


def test_no_images():
    with pytest.raises(VartkError, match="the dataset is empty"):
        EndlessBatches(0, 4, 0, 0, 1)


def test_views_are_decided_by_seed_pass_and_index():
    augment = AugmentConfig(scale=1.5, flip=True)
    images = Images(Gradients(4), (8, 8), augment, seed=3)
    again = Images(Gradients(4), (8, 8), augment, seed=3)
    assert torch.equal(images[(2, 1)], again[(2, 1)])
    others = [images[(0, 1)], images[(2, 2)], Images(Gradients(4), (8, 8), augment, seed=4)[(2, 1)]]
    assert not any(torch.equal(images[(2, 1)], other) for other in others)
    assert torch.equal(images[1], images[(0, 1)])


def test_without_augmentation_every_pass_is_the_same():
    images = Images(Gradients(4), (8, 8))
    assert torch.equal(images[(7, 2)], images[2])
    assert images[2].shape == (3, 8, 8)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing(workers):
    images = Images(Gradients(6), (8, 8), AugmentConfig(scale=1.5, flip=True), seed=1)
    batches = EndlessBatches(6, 4, 1, 2, 5)
    expected = [torch.stack([images[view] for view in batch]) for batch in batches]
    torch.manual_seed(0)
    made = list(loader(images, batches, workers, torch.device("cpu")))
    assert len(made) == 3
    assert all(torch.equal(a, b) for a, b in zip(made, expected, strict=True))
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(1))  # the loader leaves the training's random numbers alone


@pytest.mark.parametrize(
    ("size", "wanted", "corner"),
    [
        ((20, 30), (20, 20), (0, 5)),  # wide: columns 5 to 24
        ((30, 20), (20, 20), (5, 0)),
        ((20, 20), (20, 20), (0, 0)),
        ((20, 30), (10, 30), (5, 0)),  # no square wanted either
    ],
)
def test_fit_crops_at_the_centre(size, wanted, corner):
    made = pixels(fit(Gradients(1, size)[0].image, wanted))
    assert made.shape == (*wanted, 3)
    assert tuple(made[0, 0, :2]) == corner
    assert tuple(made[-1, -1, :2]) == (corner[0] + wanted[0] - 1, corner[1] + wanted[1] - 1)


@pytest.mark.parametrize(("size", "wanted"), [((7, 90), (16, 16)), ((33, 5), (8, 24)), ((1, 1), (4, 4))])
def test_fit_enlarges_to_cover(size, wanted):
    assert fit(Gradients(1, size)[0].image, wanted).size == wanted[::-1]


def test_augmented_crops_within_the_resized_image():
    image = Gradients(1, (24, 24))[0].image
    import random

    corners = set()
    for seed in range(200):
        made = pixels(augmented(image, (16, 16), AugmentConfig(scale=1.5), random.Random(seed)))
        assert made.shape == (16, 16, 3)
        top, left = made[0, 0, :2]
        assert np.array_equal(made[:, 0, 0], np.arange(top, top + 16))
        corners.add((int(top), int(left)))
    assert {top for top, _ in corners} == {left for _, left in corners} == set(range(9))


def test_half_of_the_images_are_flipped():
    import random

    image = Gradients(1, (16, 16))[0].image
    augment = AugmentConfig(scale=1.0, flip=True)
    made = [pixels(augmented(image, (16, 16), augment, random.Random(seed))) for seed in range(200)]
    flipped = sum(int(one[0, 0, 1] == 15) for one in made)
    assert 70 < flipped < 130
    assert all(np.array_equal(one[0, :, 1], np.arange(16)[:: 1 if one[0, 0, 1] == 0 else -1]) for one in made)


def test_to_tensor_is_exact():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    made = to_tensor(Image.fromarray(np.stack([values, values.T, 255 - values], axis=-1)))
    assert made.dtype == torch.float32
    assert made.shape == (3, 16, 16)
    assert (made[0, 0, 0], made[0, -1, -1]) == (-1, 1)
    back = ((made + 1) / 2 * 255).round().to(torch.uint8).numpy()
    assert np.array_equal(back[0], values)
    assert np.array_equal(back[1], values.T)
    assert np.array_equal(back[2], 255 - values)


@pytest.mark.parametrize("name", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_batches_arrive_on_the_device_whole_and_in_order(name, count):
    device = torch.device(name)
    sent = [(torch.full((64, 3), index), torch.full((64,), -index)) for index in range(count)]
    pinned = ([x.pin_memory() if name == "cuda" else x for x in batch] for batch in sent)
    arrived = []
    for batch in on_device(pinned, device):
        assert all(tensor.device.type == name for tensor in batch)
        arrived.append([tensor * 1 for tensor in batch])  # computed before the next one arrives
    assert len(arrived) == count
    for batch, expected in zip(arrived, sent, strict=True):
        assert all(torch.equal(one.cpu(), other) for one, other in zip(batch, expected, strict=True))
