"""The tasks, called as functions."""

import json

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

import vartk
from vartk.components import plugins
from vartk.images import open_image, save_image
from vartk.tasks.reconstruct import reconstruct_to_folder
from vartk.tasks.sample import sample_to_folder
from vartk.tasks.validate import validate_model
from vartk_registry import VartkError


class Bar:
    """Remembers what it was told."""

    def __init__(self):
        self.told = []

    def update(self, done, text=""):
        self.told.append((done, text))


def sample(model, folder, *, labels=(), count=None, seed=0, file_format="png", bar=None, **settings):
    return sample_to_folder(
        model,
        labels,
        count,
        folder,
        seed=seed,
        settings=settings,
        file_format=file_format,
        add_bar=lambda title, total: bar or Bar(),
    )


def pixels(path):
    with Image.open(path) as image:
        return np.array(image).astype(int)


@pytest.fixture(scope="module")
def model():
    return tiny.tiny_model()


def test_the_files_are_what_the_model_samples(model, tmp_path):
    sample(model, tmp_path / "out", labels=["2", "dark"], count=3, seed=5)
    made = model.sample([2, 0, 2], seed=5).images
    for index, image in enumerate(made):
        written = pixels(tmp_path / "out" / f"{index:06d}.png").transpose(2, 0, 1)
        assert np.abs(written - image.numpy() * 255).max() <= 0.51


def test_npz_and_png_hold_the_same_pixels(model, tmp_path):
    sample(model, tmp_path / "png", count=6)
    sample(model, tmp_path / "npz", count=6, file_format="npz")
    with np.load(tmp_path / "npz" / "samples.npz") as file:
        images, labels = file["arr_0"], file["arr_1"]
    assert (images.dtype, images.shape) == (np.uint8, (6, 16, 16, 3))
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    files = [pixels(tmp_path / "png" / f"{index:06d}.png") for index in range(6)]
    assert (images == np.stack(files)).all()
    assert not list((tmp_path / "npz").glob("0*.png"))


def test_the_bar_counts_images_and_names_the_scale(model, tmp_path):
    bar = Bar()
    sample(model, tmp_path / "out", count=5, bar=bar, batch=4)
    assert bar.told == [
        (4 / 3, "scale 1/3 (1x1)"),
        (8 / 3, "scale 2/3 (2x2)"),
        (4, "scale 3/3 (4x4)"),
        (4 + 1 / 3, "scale 1/3 (1x1)"),
        (4 + 2 / 3, "scale 2/3 (2x2)"),
        (5, "scale 3/3 (4x4)"),
    ]


def test_the_record_repeats_the_run(model, tmp_path):
    record = sample(model, tmp_path / "out", labels=["light"], count=2, seed=7, top_k=3, guidance=2.5)
    assert json.loads((tmp_path / "out" / "samples.json").read_text()) == record
    assert (record["classes"], record["labels"], record["seeds"]) == (["light"] * 2, [1, 1], [7, 8])
    assert record["sampling"]["sampler"]["top_k"] == 3
    assert record["versions"] == {"vartk": vartk.__version__, "torch": torch.__version__}
    again = sample(model, tmp_path / "again", labels=record["classes"], count=2, seed=7, **record["sampling"])
    assert again["sampling"] == record["sampling"]
    for name in ("000000.png", "000001.png"):
        assert (pixels(tmp_path / "again" / name) == pixels(tmp_path / "out" / name)).all()


def test_a_mistake_leaves_no_folder(model, tmp_path):
    for wrong in ({"labels": ["9"]}, {"top_k": -1}, {"bogus": 1}, {"schedule": [1, 2]}):
        with pytest.raises(VartkError):
            sample(model, tmp_path / "out", **wrong)
        assert not (tmp_path / "out").exists()


def test_reconstructions_are_the_models(model, tmp_path):
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    save_image(image, tmp_path / "a.png")
    (row,) = reconstruct_to_folder(model, [tmp_path / "a.png"], tmp_path / "out")
    given = torch.from_numpy(np.array(open_image(tmp_path / "a.png"))).permute(2, 0, 1) / 255
    made = (model.decode(model.encode(given[None] * 2 - 1))[0] + 1) / 2
    expected = -10 * ((made - given) ** 2).mean().log10().item()
    assert row["psnr_db"] == pytest.approx(expected, rel=1e-3)
    written = pixels(row["written"]).transpose(2, 0, 1)
    assert np.abs(written - made.numpy() * 255).max() <= 0.51
    strip = pixels(tmp_path / "out" / "scales" / "a.png")
    assert strip.shape == (96, 4 * 98 - 2, 3)  # 16 pixels, six times enlarged
    assert (strip[::6, :96:6] == np.asarray(open_image(tmp_path / "a.png"))).all()
    assert (strip[::6, -96::6].transpose(2, 0, 1) == written).all()


def test_an_image_of_another_size_is_cut_to_the_middle(model, tmp_path):
    wide = Image.new("RGB", (48, 16), "white")
    wide.paste("red", (16, 0, 32, 16))
    wide.save(tmp_path / "wide.png")
    reconstruct_to_folder(model, [tmp_path / "wide.png"], tmp_path / "out")
    strip = pixels(tmp_path / "out" / "scales" / "wide.png")
    assert (strip[:, :96] == (255, 0, 0)).all()


def test_every_image_is_read_before_one_is_written(model, tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("not an image")
    with pytest.raises(VartkError, match=r"bad\.png is not an image"):
        reconstruct_to_folder(model, [tmp_path / "good.png", tmp_path / "bad.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_images_of_one_name_are_refused(model, tmp_path):
    with pytest.raises(VartkError, match="several images are called a; rename one of them"):
        reconstruct_to_folder(model, [tmp_path / "a.png", tmp_path / "b" / "a.jpg"], tmp_path / "out")


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ({"image_size": 18}, "18x18"),
        ({"image_size": "big"}, "image_size='big' must be a side in pixels"),
        ({"schedule.grids": [1, 2]}, "schedule 'custom' ends at 2x2, but the tokenizer's latent grid"),
        ({"transformer.width": 33}, "width=33 is no multiple of heads=2"),
    ],
)
def test_parts_that_do_not_fit_together(overrides, problem):
    with pytest.raises(VartkError, match=problem):
        validate_model(tiny.tiny_config(**overrides), plugins())


def test_parts_that_fit_together():
    validate_model(tiny.tiny_config(), plugins())
