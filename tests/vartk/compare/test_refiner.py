"""vartk compare with a refiner: a way in which another model draws the last scales."""

import json

import pytest
import torch
from omegaconf import OmegaConf
from tiny import tiny_config, tiny_model

import vartk as package
from vartk.bench.model import read_model
from vartk.compare import parse_ways
from vartk.config import Layer, plain
from vartk.engine.folder import save_model

pytestmark = pytest.mark.usefixtures("one_thread", "memory_here")

SMALL = {"transformer.depth": 1, "transformer.width": 16}
LABELS = [0, 1, 2]


def smaller(**changes):
    """A model of the tokenizer of `tiny_model()`, with a transformer and a default of its own."""
    model = tiny_model(1, **SMALL, **{"sampling.guidance.scale": 3.0, **changes})
    model.tokenizer.load_state_dict(tiny_model().tokenizer.state_dict())
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of a model with a calibration for its two layers, a small one, and one that does not fit."""
    folder = tmp_path_factory.mktemp("models")
    save_model(tiny_model(**{"calibration.ams_kv.demanding": [1]}), folder / "large")
    save_model(smaller(), folder / "small")
    save_model(tiny_model(1), folder / "other")
    return folder


@pytest.fixture
def words(models, eyes):
    return ["compare", models / "large", "--class", "0,1,2", f"feature={eyes}", "--count", 3, "--batch", 2]


def share(a, b):
    """The share of codes that two samples have alike."""
    return (torch.cat(a.codes, dim=1) == torch.cat(b.codes, dim=1)).double().mean().item()


def test_the_numbers_are_those_of_both_models_samples(vartk, words, models, tmp_path):
    given = {
        "code": {"draft": 2},
        "ams": {"draft": 1, "cache": "ams_kv"},
        "late": {"draft": 0, "guidance.scale": 2.0},
    }
    for name, own in given.items():
        settings = " ".join(f"{key}={value}" for key, value in own.items())
        words += ["--way", f"{name}: refiner={models / 'small'} {settings}"]
    ran = vartk(*words, "--seed", 3, "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    first, *ways = json.loads(ran.out.splitlines()[-1])["ways"]
    large, small = package.load(models / "large"), package.load(models / "small")
    expected = large.sample(LABELS, seed=3, batch=2)
    for way, (name, own) in zip(ways, given.items(), strict=True):
        made = large.sample(LABELS, seed=3, batch=2, refiner=small, **own)
        assert (way["name"], way["codes_alike"]) == (name, pytest.approx(share(made, expected)))
        assert way["peak_memory_bytes"] == 2**30
    code, ams, late = ways
    assert 5 / 21 <= code["codes_alike"] < 1  # the first scales are the first model's
    assert "refiner" not in first
    # k and v, tokens, fp32, both halves of guidance
    token = 2 * 21 * 4 * 2
    assert first["cache_bytes_per_image"] == code["cache_bytes_per_image"] == token * 2 * 32
    assert late["cache_bytes_per_image"] == token * 1 * 16
    # what a way sets is for both models; of the rest each has its own
    assert (code["refiner"]["model"], code["refiner"]["draft"]) == (str(models / "small"), 2)
    scales = [
        (way["sampling"]["guidance"]["scale"], way["refiner"]["sampling"]["guidance"]["scale"])
        for way in (code, late)
    ]
    assert scales == [(1.5, 3.0), (2.0, 2.0)]
    assert ams["sampling"]["cache"]["demanding"] == [1]
    assert ams["refiner"]["sampling"]["cache"]["demanding"] != [1]
    page = (tmp_path / "out" / "compare.md").read_text()
    assert f"| code | refiner={models / 'small'} draft=2 refiner.guidance.scale=3.0 |" in page
    assert "A way with a refiner goes over to that model" in page


def test_a_refiner_is_opened_once_for_all_ways():
    opened = []

    def opener(name):
        opened.append(name)
        return smaller()

    typed = ["a: refiner=small draft=1", "b: draft=2 top_k=3 refiner=small", "c: top_k=3"]
    full, a, b, c = parse_ways(tiny_model(), Layer("command line", {}), None, typed, opener)
    assert opened == ["small"]
    assert a.refiner.model is b.refiner.model
    assert (a.refiner.draft, b.refiner.draft, full.refiner, c.refiner) == (1, 2, None, None)
    assert [way.sampling.sampler.params["top_k"] for way in (a, b, c)] == [12, 3, 3]
    assert [way.refiner.sampling.sampler.params["top_k"] for way in (a, b)] == [12, 3]


def test_another_refiner_does_not_go_on(vartk, refused, words, models, tmp_path):
    out, small = tmp_path / "out", tmp_path / "small"
    save_model(smaller(), small)
    assert vartk(*words, "--way", f"code: refiner={small} draft=2", "--out", out).code == 0
    message = refused(*words, "--way", f"code: refiner={small} draft=1", "--out", out)
    assert "(refiners.code.draft was 2 and is 1)" in message
    small.rename(tmp_path / "before")
    changed = smaller()
    torch.nn.init.normal_(changed.predictor.transformer.head.weight)
    save_model(changed, small)
    message = refused(*words, "--way", f"code: refiner={small} draft=2", "--out", out)
    assert "refiners.code.weights.transformer.safetensors was" in message


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("refiner={}/small", "x: collaborative decoding takes a refiner"),
        ("draft=2", "x: collaborative decoding takes a refiner"),
        ("refiner={}/nosuch draft=2", "x: no model"),
        ("refiner={}/other draft=2", "x: the refiner has another tokenizer than the drafter"),
        ("refiner={}/small draft=4", "x: draft=4 is out of range; give 0 to 3 scales"),
        ("refiner={}/small draft=most", "x: draft='most' is no number of scales; give one, as in draft=5"),
        ("refiner={}/small draft=true", "x: draft=True is no number of scales"),
        ("refiner=[{}/small] draft=2", "is no model; give a name, as in refiner=runs/small"),
        ("refiner={}/small draft=2 attention=flash", "x: attention"),
        ("refiner={}/small draft=2 guidance.scal=2", "did you mean 'scale'"),
    ],
    ids=lambda value: value if "{}" in value else "",
)
def test_mistakes_are_told_before_anything_is_sampled(refused, words, models, tmp_path, way, message):
    assert message in refused(*words, "--way", f"x: {way.format(models)}", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """The tiny configuration as a file, one of a smaller transformer, and one of another tokenizer."""
    folder = tmp_path_factory.mktemp("configs")
    for name, changes in (("large", {}), ("small", SMALL), ("other", {"quantizer.classes": 12})):
        config = plain(tiny_config(**changes))
        (folder / f"{name}.yaml").write_text(OmegaConf.to_yaml(config))
    return folder


def test_with_random_weights_both_have_the_same_tokenizer(vartk, configs, tmp_path):
    shared = ["image_size=32", "schedule={name: custom, grids: [1, 2, 4, 8]}"]
    way = f"code: refiner={configs / 'small.yaml'} draft=3"
    words = (*shared, "transformer.depth=3", "--way", way, "--count", 2)
    ran = vartk("compare", configs / "large.yaml", *words, "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    first, code = json.loads(ran.out.splitlines()[-1])["ways"]
    large = read_model(str(configs / "large.yaml"), [*shared, "transformer.depth=3"])
    small = read_model(str(configs / "small.yaml"), shared)
    made = large.sample([0, 1], refiner=small, draft=3)
    assert code["codes_alike"] == pytest.approx(share(made, large.sample([0, 1])))
    assert 21 / 85 <= code["codes_alike"] < 1
    assert first["cache_bytes_per_image"] == 2 * 3 * 85 * 32 * 4 * 2


@pytest.mark.parametrize(
    ("refiner", "message"),
    [
        ("{configs}/other.yaml", "x: the refiner predicts other codes"),
        ("{models}/small", "x: refiner={models}/small is no preset and no YAML file"),
        ("nosuch", "x: refiner=nosuch is no preset and no YAML file"),
    ],
)
def test_a_refiner_of_random_weights_has_them_too(refused, configs, models, tmp_path, refiner, message):
    folders = {"configs": configs, "models": models}
    way = f"x: refiner={refiner.format(**folders)} draft=1"
    shown = refused("compare", configs / "large.yaml", "--way", way, "--out", tmp_path / "out")
    assert message.format(**folders) in shown
    assert not (tmp_path / "out").exists()
