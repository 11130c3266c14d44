"""Reconstructions by the number of scales."""

import json
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import tiny
import torch

from vartk.components import plugins
from vartk.engine.data import Images
from vartk.engine.folder import load_model
from vartk.engine.sets import Seen, set_distances


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return tiny.images_folder(tmp_path_factory.mktemp("photos"), train=4, validation=11)


@pytest.fixture
def evaluate(vartk, photos, eyes):
    def run(model, *words):
        data = ("dataset=folder", f"dataset.path={photos}", f"feature={eyes}", "batch=4")
        ran = vartk("eval", model, *data, *words, "--json")
        assert ran.code == 0, ran.err
        return json.loads(ran.out.splitlines()[-1])

    return run


def test_each_row_is_what_a_model_decodes_of_the_first_scales(evaluate, tokenizer_folder, photos):
    rows = evaluate(tokenizer_folder)["scales"]
    assert [(row["scales"], row["tokens"]) for row in rows] == [(1, 1), (2, 5), (3, 21)]
    model, registry = load_model(tokenizer_folder, plugins()), plugins().registry
    dataset = registry.build("dataset", "folder", {"path": str(photos)}, split="validation")
    pixels = torch.stack([Images(dataset, (16, 16))[i] for i in range(11)])
    feature = registry.build("feature", "eyes", {})
    codes, real = model.encode(pixels), Seen.of(feature, (pixels + 1) / 2)
    for row in rows:
        made = (model.decode(codes[: row["scales"]]).clamp(-1, 1) + 1) / 2
        for name in ("psnr", "ssim"):
            metric = registry.build("metric", name, {})
            metric.update(made, (pixels + 1) / 2)
            ((key, expected),) = metric.compute().items()
            assert row[key] == pytest.approx(expected, rel=1e-4)
        distance = feature.distance(made, (pixels + 1) / 2).mean().item()
        assert row["perceptual"] == pytest.approx(distance, rel=1e-3)
        expected = set_distances(registry, ["fd"], Seen.of(feature, made), real)
        assert row["fd"] == pytest.approx(expected["fd"], rel=1e-3, abs=1e-6)


def test_the_last_row_is_the_whole(evaluate, tokenizer_folder):
    made = evaluate(tokenizer_folder)
    *_, last = made["scales"]
    assert last["psnr_db"] == made["tokenizer"]["psnr_db"]
    assert last["fd"] == made["distances"]["reconstructions"]["validation"]["fd"]
    assert "kid" not in last  # it would need the vectors of each number of scales at once


def test_the_tokenizer_of_a_whole_model(evaluate, refused, model_folder, tokenizer_folder, photos, tmp_path):
    made = evaluate(model_folder, "--tokenizer-only", "--out", tmp_path / "out")
    assert made["scales"] == evaluate(tokenizer_folder)["scales"]
    assert "neighbours" not in made
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| scales | tokens | PSNR (dB) | SSIM | perceptual distance | FD-Eyes |" in text
    assert "(scales.svg)" in text
    drawn = ElementTree.parse(tmp_path / "out" / "scales.svg").getroot()
    lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4
    for line in lines:
        places = [tuple(map(float, place.split(","))) for place in line.get("points").split()]
        assert len(places) == 3
        assert all(a[0] < b[0] for a, b in pairwise(places))
    message = refused("eval", model_folder, "--tokenizer-only", "--reference", photos)
    assert "--tokenizer-only compares reconstructions with the images of the dataset" in message
