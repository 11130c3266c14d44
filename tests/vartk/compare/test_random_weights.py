"""vartk compare on a configuration: random weights, at any size, and nothing about real images."""

import json

import pytest
import tiny
import torch
from omegaconf import OmegaConf

from vartk.bench.model import read_model
from vartk.compare import Kept
from vartk.compare.source import is_configuration
from vartk.config import plain
from vartk.engine.folder import save_model

pytestmark = pytest.mark.usefixtures("one_thread", "memory_here")

LARGER = ["image_size=32", "schedule={name: custom, grids: [1, 2, 4, 8]}", "sampling.sampler.top_k=6"]
"""Settings that make another model of the tiny configuration."""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The tiny configuration as a file."""
    path = tmp_path_factory.mktemp("configs") / "tiny.yaml"
    path.write_text(OmegaConf.to_yaml(plain(tiny.tiny_config())))
    return str(path)


@pytest.fixture
def words(config):
    return ["compare", config, *LARGER, "--cache", "full,window", "--way", "plain: precision=plain"]


def test_the_model_is_the_configurations_with_the_same_weights_every_time(vartk, words, config, tmp_path):
    out = tmp_path / "out"
    ran = vartk(*words, "guidance.scale=2", "--count", 2, "--out", out, "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out.splitlines()[-1])
    assert (made["weights"], made["labels"], made["feature"]) == ("random", [0, 1], None)
    model = read_model(config, LARGER)
    settings = {"full": {}, "window": {"cache": "window"}, "plain": {"precision": "plain"}}
    codes = {
        name: torch.cat(model.sample([0, 1], guidance=2, **own).codes, dim=1)
        for name, own in settings.items()
    }
    assert codes["full"].shape == (2, 1 + 4 + 16 + 64)
    for way in made["ways"]:
        assert way["codes_alike"] == pytest.approx(
            (codes[way["name"]] == codes["full"]).float().mean().item()
        )
        assert way["sampling"]["guidance"]["scale"] == 2
        assert way["sampling"]["sampler"]["top_k"] == 6
        assert not {"fd", "kid", "perceptual"} & way.keys()
        assert way["peak_memory_bytes"] == 2**30
    alike = [way["codes_alike"] for way in made["ways"]]
    assert alike[0] == alike[2] == 1
    assert 0.1 < alike[1] < 0.95  # another cache matters to these weights, and is not noise either
    # k and v, 2 layers, tokens, width 32, fp32, both halves of guidance; the window holds two scales
    held = [way["cache_bytes_per_image"] for way in made["ways"]]
    assert held[0] == held[2] == 2 * 2 * (1 + 4 + 16 + 64) * 32 * 4 * 2
    assert held[1] < held[0]


def test_the_report_says_that_weights_are_random_and_what_is_left_out(vartk, words, tmp_path):
    ran = vartk(*words, "--count", 1, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    page = (tmp_path / "out" / "compare.md").read_text()
    for text in (ran.out, page):
        assert "The weights are random" in text
        assert "distances between sets of images left out: the weights are random" in text
        assert "perceptual distance left out: the weights are random" in text
    assert "image_size=32" in page


def test_a_stopped_comparison_goes_on_with_the_same_weights(vartk, refused, words, tmp_path, monkeypatch):
    out, keep, kept = tmp_path / "out", Kept.keep, []
    words += ["--count", 2, "--batch", 1, "--out", out]

    def stopping(self, way, start, tensors):
        if len(kept) == 4:
            raise KeyboardInterrupt
        kept.append(self._batch(way, start))
        keep(self, way, start, tensors)

    monkeypatch.setattr(Kept, "keep", stopping)
    assert vartk(*words).code == 130
    monkeypatch.setattr(Kept, "keep", keep)
    before = [path.stat().st_mtime_ns for path in kept]
    ran = vartk(*words, "--json")
    assert ran.code == 0, ran.err
    assert [path.stat().st_mtime_ns for path in kept] == before
    full, _, plain_way = json.loads(ran.out.splitlines()[-1])["ways"]
    assert full["codes_alike"] == plain_way["codes_alike"] == 1  # though sampled in another run
    assert "weights.random.transformer.depth was 2 and is 3" in refused(*words, "transformer.depth=3")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--data", "demo"], "drop --data, name a trained model"),
        (["dataset=folder", "feature=lpips"], "drop dataset, feature, name"),
        (["transformer.dpeth=3"], "did you mean 'depth'"),
        (["guidance.scal=3"], "did you mean 'scale'"),
        (["image_size=30"], "30"),
        (["--device", "nosuch"], "nosuch"),
        (["--published"], "tiny.yaml is a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_before_anything_is_sampled(refused, words, tmp_path, wrong, message):
    assert message in refused(*words, *wrong, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_has_weights_of_its_own_is_no_configuration(config, model_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [name for name in (config, "var-d16", "demo") if not is_configuration(name)] == []
    own = (str(model_folder), "emoji64", "owner/name", "absent.yaml")
    assert [name for name in own if is_configuration(name)] == []


def test_published_weights_of_a_preset_by_option(vartk, eyes, tmp_path, monkeypatch):
    monkeypatch.setenv("VARTK_CACHE", str(tmp_path))
    save_model(tiny.tiny_model(), tmp_path / "var-d16")  # as if it had been fetched
    words = ("compare", "var-d16", "--published", "--class", "0,1", f"feature={eyes}", "--count", 2)
    ran = vartk(*words, "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out.splitlines()[-1])
    assert made["weights"] == "the model's own"
    assert "--published" in made["command"]
    assert made["ways"][0]["perceptual"] == 0
