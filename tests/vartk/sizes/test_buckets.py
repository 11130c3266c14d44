"""Buckets of ratios: which image goes where, what a batch holds, and that a killed run goes on exactly."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from PIL import Image
from tiny import Crash, Crashing, Quiet, images_folder, tiny_composed, tiny_config

import vartk as toolkit
from vartk.components import plugins
from vartk.engine.buckets import BucketBatches, BucketedImages, buckets_of, nearest_bucket
from vartk.engine.data import EndlessBatches
from vartk.engine.distributed import World
from vartk.engine.recipes import open_datasets, tokenize_dataset, train_tokenizer, train_transformer
from vartk.engine.sizes import bucket_schedules
from vartk.engine.tokens import load_tokens
from vartk.engine.training import Run
from vartk.files import load_tensors
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = [(16, 16), (16, 32), (32, 16)]
BUCKETS = {"buckets": [[16, 32], [32, 16]]}
TRAINING = {
    f"train.{stage}.{key}": value
    for stage in ("tokenizer", "transformer")
    for key, value in {"steps": 6, "save_every": 2, "eval_every": 3, "ema": 0.9, "keep": 3}.items()
} | {"augment.flip": True, "train.transformer.views": 2, "train.transformer.label_drop": 0.5}


@pytest.mark.parametrize(
    ("shape", "bucket"),
    [((10, 10), 0), ((10, 13), 0), ((10, 15), 1), ((10, 90), 1), ((90, 10), 2), ((300, 200), 2)],
)
def test_an_image_goes_to_the_nearest_ratio(shape, bucket):
    assert nearest_bucket(SIZES, shape) == bucket


def test_of_sizes_with_one_ratio_the_nearest_area_is_taken():
    sizes = [(16, 16), (64, 64)]
    assert [nearest_bucket(sizes, (side, side)) for side in (8, 20, 50, 500)] == [0, 0, 1, 1]


GROUPS = [list(range(7)), list(range(7, 10)), list(range(10, 22))]


def batches(start=0, stop=40, batch=4, seed=0, **world):
    made = BucketBatches(GROUPS, batch, seed, start, stop, **world)
    return list(made), list(made.buckets())


def test_a_batch_has_one_bucket_and_every_image_is_seen_equally_often():
    views, buckets = batches(stop=22)  # 22 images, batches of 4: two cycles of 11 steps with 2 passes each
    for batch, bucket in zip(views, buckets, strict=True):
        assert len(batch) == 4
        assert {index in GROUPS[bucket] for _, index in batch} == {True}
    seen = Counter(index for batch in views[:22] for _, index in batch)
    assert seen == dict.fromkeys(range(22), 4)
    assert len(set(pairwise(buckets))) > 3  # they take turns


def test_a_step_depends_on_the_seed_and_the_step_alone():
    whole = batches()
    assert batches() == whole
    for start in (1, 10, 11, 12, 33):
        assert batches(start=start) == tuple(part[start:] for part in whole)
    assert batches(seed=1)[0] != whole[0]


def test_processes_share_a_batch():
    whole, buckets = batches()
    shares = [batches(world=World(rank, 2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(shares[0][0], shares[1][0], strict=True)] == whole
    assert shares[0][1] == shares[1][1] == buckets


def test_one_bucket_has_the_batches_of_endless_ones():
    assert list(BucketBatches([list(range(10))], 4, 3, 2, 9)) == list(EndlessBatches(10, 4, 3, 2, 9))


def test_no_image_at_all_is_refused():
    with pytest.raises(VartkError, match="the dataset is empty"):
        BucketBatches([[], []], 4, 0, 0, 1)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Squares and wide and tall images, with more squares."""
    folder = images_folder(tmp_path_factory.mktemp("images"), train=9, validation=4)
    for name, size in (("wide", (20, 36)), ("tall", (40, 20))):
        made = images_folder(tmp_path_factory.mktemp(name), train=5, validation=2, size=size)
        for path in made.rglob("*.png"):
            path.rename(folder / path.relative_to(made).with_stem(f"{name}-{path.stem}"))
    return folder


def test_images_are_sorted_by_their_headers_and_fitted(images, monkeypatch):
    config = tiny_config(images)
    train = open_datasets(config, print)["train"]
    expected = [
        nearest_bucket(SIZES, (e.image.height, e.image.width)) for e in map(train.__getitem__, range(19))
    ]
    monkeypatch.setattr(type(train), "read", None)  # no image is decoded for this
    assert buckets_of(train, SIZES) == expected
    monkeypatch.undo()
    assert Counter(expected) == {0: 9, 1: 5, 2: 5}
    made = BucketedImages(train, SIZES)
    assert {tuple(made[i].shape[1:]) for i in range(19)} == set(SIZES)


def test_a_turned_photo_has_the_shape_that_is_seen(tmp_path):
    folder = images_folder(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (40, 20)).save(folder / "train" / "dark" / "0.jpg", exif=exif)
    (folder / "train" / "dark" / "1.png").write_bytes(b"no image")
    train = open_datasets(tiny_config(folder), print)["train"]
    names = [train.name(index) for index in range(len(train))]
    turned = names.index("train/dark/0.jpg")
    image = train[turned].image
    assert train.shape(turned) == (image.height, image.width) == (40, 20)
    assert train.shape(names.index("train/dark/1.png")) == (16, 16)  # of the image in its place


@pytest.fixture(scope="module")
def folder(images, tmp_path_factory):
    """Whole runs of both stages and the codes between them."""
    out = tmp_path_factory.mktemp("whole")
    train_tokenizer(composed(images), out / "tokenizer", reporter=Quiet(), device="cpu")
    config = tiny_config(images, **BUCKETS, **TRAINING)
    tokenize_dataset(
        config, out / "tokenizer" / "model", out / "tokens", device="cpu", progress=lambda *args: None
    )
    second(images, out, out / "transformer")
    return out


def composed(images, **settings):
    return tiny_composed(images, **BUCKETS, **TRAINING, **settings)


def second(images, whole, out, reporter=None, resume=False):
    model = whole / "tokenizer" / "model"
    chosen = reporter or Quiet()
    train_transformer(
        composed(images), model, whole / "tokens", out, reporter=chosen, device="cpu", resume=resume
    )


def test_codes_of_each_bucket_are_stored(images, folder):
    model = toolkit.load(folder / "tokenizer")
    schedules = bucket_schedules(model.config, model.tokenizer, model.schedule, plugins().registry)
    assert [schedule.latent for schedule in schedules] == [(4, 4), (4, 8), (8, 4)]
    held_out = load_tokens(
        folder / "tokens", folder / "tokenizer" / "model", schedules[0], buckets=schedules[1:]
    )["validation"]
    dataset = BucketedImages(open_datasets(model_config(images), print)["validation"], SIZES)
    assert held_out.buckets.tolist() == dataset.buckets
    for index, bucket in enumerate(dataset.buckets):
        schedule = schedules[bucket]
        made = torch.cat(model.tokenizer.encode(dataset[index][None], schedule), dim=1)[0]
        assert torch.equal(held_out.codes[index, : schedule.total].long(), made)
    with pytest.raises(VartkError, match=r"are for the schedule .*8x4, not 1, 2, 4; make them again"):
        load_tokens(folder / "tokens", folder / "tokenizer" / "model", schedules[0])


def model_config(images):
    return tiny_config(images, **BUCKETS)


def test_both_stages_learn_and_know_their_sizes(folder):
    for stage, number in (("tokenizer", "val_psnr_db"), ("transformer", "val_loss")):
        assert any(number in line for line in Run(folder / stage).metrics())
    model = toolkit.load(folder / "transformer")
    assert model.sample([0], size=[16, 32]).images.shape == (1, 3, 16, 32)


def assert_same(run, expected):
    assert Run(run).metrics() == Run(expected).metrics()
    (name,) = {"tokenizer": ["tokenizer"], "transformer": ["transformer"]}[expected.name]
    ours, theirs = (load_tensors(one / "model" / f"{name}.safetensors") for one in (run, expected))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_killed_run_of_either_stage_goes_on_exactly(images, folder, tmp_path, at):
    first, then = tmp_path / "tokenizer", tmp_path / "transformer"
    with pytest.raises(Crash):
        train_tokenizer(composed(images), first, reporter=Crashing(at), device="cpu")
    if at > 2:  # a checkpoint is there
        train_tokenizer(composed(images), first, reporter=Quiet(), device="cpu", resume=True)
        assert_same(first, folder / "tokenizer")
    with pytest.raises(Crash):
        second(images, folder, then, Crashing(at))
    if at > 2:
        second(images, folder, then, resume=True)
        assert_same(then, folder / "transformer")


def test_parts_of_a_batch_and_workers_change_nothing_but_rounding(images, tmp_path):
    losses = []
    for number, settings in enumerate(({}, {"accumulate": 2}, {"workers": 2})):
        keys = {f"train.tokenizer.{key}": value for key, value in settings.items()}
        out = tmp_path / str(number)
        train_tokenizer(composed(images, **keys), out, reporter=Quiet(), device="cpu")
        losses.append([line["l2"] for line in Run(out).metrics() if "l2" in line])
    torch.testing.assert_close(torch.tensor(losses[1]), torch.tensor(losses[0]), rtol=1e-3, atol=1e-4)
    assert losses[2] == losses[0]


def test_a_bucket_that_is_no_size_or_fits_nothing(images):
    with pytest.raises(VartkError, match=r"buckets\[0\]='big' must be a side in pixels"):
        train_tokenizer(
            tiny_composed(images, buckets=["big"]), images.parent / "never", reporter=Quiet(), device="cpu"
        )
    with pytest.raises(VartkError, match="multiples of 4; the nearest size is 16x24"):
        train_tokenizer(
            tiny_composed(images, buckets=[[16, 23]]), images.parent / "never", reporter=Quiet(), device="cpu"
        )
