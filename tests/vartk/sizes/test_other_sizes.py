"""Sampling another size than a model's own: the schedule and positions follow, and it is said."""

import json
import logging

import pytest
from PIL import Image
from tiny import tiny_model

from vartk.config import ModelConfig
from vartk.engine import sizes
from vartk_registry import VartkError


@pytest.fixture(autouse=True)
def _unreported():
    sizes._report_size.cache_clear()
    sizes._report_scales.cache_clear()


def test_a_list_of_grids_is_resized_for_another_size():
    model = tiny_model()  # 16 px with the grids 1, 2, 4
    *_, last = model.stream([0], size=[16, 32])
    assert last.images.shape == (1, 3, 16, 32)
    # 8 ** (log 2 / log 4) is 2.83, of which 2 is the nearest even number
    assert last.schedule.grids == ((1, 1), (2, 2), (4, 8))
    assert model.sample([0, 1], size=32).images.shape == (2, 3, 32, 32)


@pytest.mark.parametrize("positions", ["learned", "rope2d"])
@pytest.mark.parametrize("cache", ["full", "fastvar", "window"])
def test_positions_follow_the_size(positions, cache):
    model = tiny_model(**{"transformer.positions": positions})
    assert model.sample([0], size=[24, 16], cache=cache).images.shape == (1, 3, 24, 16)


def test_raster_order_has_as_many_steps_as_codes():
    model = tiny_model(**{"schedule.name": "raster"})
    *_, last = model.stream([0], size=[16, 24])
    assert (last.images.shape[-2:], len(last.schedule)) == ((16, 24), 24)


def test_what_a_model_was_made_for_is_said_once(caplog):
    model = tiny_model()
    with caplog.at_level(logging.WARNING, logger="vartk.engine"):
        model.sample([0], size=16)
        assert not caplog.records
        for seed in (0, 1):
            model.sample([0], size=[16, 32], seed=seed)
    (record,) = caplog.records
    assert "made for images of 16x16 pixels (width x height) and samples 32x16" in record.getMessage()


def test_other_scales_for_the_own_size_are_said_once(caplog):
    model = tiny_model()
    with caplog.at_level(logging.WARNING, logger="vartk.engine"):
        model.sample([0], schedule="model")
        assert not caplog.records
        for seed in (0, 1):
            model.sample([0], schedule=[1, 3, 4], seed=seed)
    (record,) = caplog.records
    assert "made for the scales 1, 2, 4 and samples with the scales 1, 3, 4" in record.getMessage()


def test_a_trained_bucket_is_no_other_size(caplog):
    model = tiny_model(buckets=[[16, 32]])
    with caplog.at_level(logging.WARNING, logger="vartk.engine"):
        model.sample([0], size=[16, 32])
        assert not caplog.records
    assert sizes.size_record(model.config, None)["made_for"] == [[16, 16], [16, 32]]


def test_a_size_that_does_not_fit_names_the_nearest():
    with pytest.raises(VartkError, match="multiples of 4; the nearest size is 16x32"):
        tiny_model().sample([0], size=[17, 31])


def test_width_by_height_on_the_command_line(vartk, model_folder, tmp_path):
    ran = vartk("sample", model_folder, "--size", "32x16", "--class", "0", "--out", tmp_path / "wide")
    assert ran.code == 0, ran.err
    with Image.open(tmp_path / "wide" / "000000.png") as image:
        assert image.size == (32, 16)
    record = json.loads((tmp_path / "wide" / "samples.json").read_text())
    assert (record["size"], record["made_for"]) == ([16, 32], [[16, 16]])
    assert record["sampling"]["size"] == [16, 32]
    ran = vartk("sample", model_folder, "--size", "24", "--class", "0", "--json", "--out", tmp_path / "s")
    assert json.loads(ran.out)["size"] == [24, 24]


@pytest.mark.parametrize("size", ["0x4", "4x", "4x4x4", "big"])
def test_a_size_that_is_none(refused, model_folder, tmp_path, size):
    message = refused("sample", model_folder, "--size", size, "--out", tmp_path / "out")
    assert f"'{size}' is no size; give width x height in pixels" in message


def test_the_record_of_sizes():
    config = ModelConfig(image_size=[16, 24])
    assert sizes.size_record(config, None) == {"size": [16, 24], "made_for": [[16, 24]]}
    assert sizes.size_record(config, 32) == {"size": [32, 32], "made_for": [[16, 24]]}
