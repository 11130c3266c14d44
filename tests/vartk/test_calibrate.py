"""vartk calibrate, with a third party's strategy that counts the keys it sees."""

import json
import shutil

import pytest
import tiny
from omegaconf import OmegaConf

import vartk as package
from vartk.config import model_part
from vartk.engine.folder import save_model
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")

TUNED = """
from dataclasses import dataclass

from vartk_registry import ComponentSpec, hookimpl, param
from vartk_registry.caches import AllScales, Measuring


@hookimpl
def vartk_components():
    return [
        ComponentSpec(
            kind="cache",
            name=name,
            target=f"acme_tuned:{name.title()}",
            config="acme_tuned:Config",
            summary="tuned",
            aliases=("tuned-alias",) if name == "tuned" else (),
        )
        for name in ("tuned", "wrong")
    ]


@dataclass(kw_only=True, slots=True)
class Config:
    keys: int = param(0, "keys seen by a calibration", low=0)
    share: float = param(0.5, "of nothing", low=0, high=1)


class Counting(Measuring):
    def __init__(self):
        self.keys = 0

    def measure(self, plan, layer, step, q, k):
        self.keys += len(k) * k.shape[1]

    def parameters(self):
        return {"keys": self.keys}


class Misspelling(Counting):
    def parameters(self):
        return {"kyes": 1}


class Tuned(AllScales):
    lossless = True

    def __init__(self, keys, share):
        self.keys = keys

    def start(self, plan):
        return Counting().start(plan)

    def calibration(self):
        return Counting()


class Wrong(Tuned):
    def calibration(self):
        return Misspelling()
"""

KEYS = 2 * 2 * (1 + 5 + 21)
"""Of an image: both halves of guidance, 2 layers, at each scale all keys so far."""


@pytest.fixture
def folder(install, model_folder, tmp_path):
    """A model folder to write to; a tuned strategy is installed."""
    install("acme_tuned", TUNED)
    return shutil.copytree(model_folder, tmp_path / "model")


def params(folder, **settings):
    return package.load(folder).sampling(**settings).cache.params


def test_what_was_measured_becomes_the_default(vartk, folder):
    ran = vartk("calibrate", folder, "cache=tuned", "--count", 5, "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out.splitlines()[-1])
    assert (made["cache"], made["parameters"], made["count"]) == ("tuned", {"keys": 5 * KEYS}, 5)
    assert params(folder, cache="tuned") == {"keys": 5 * KEYS, "share": 0.5}
    assert params(folder, cache="tuned-alias")["keys"] == 5 * KEYS
    assert params(folder, **{"cache": "tuned", "cache.share": 0.1}) == {"keys": 5 * KEYS, "share": 0.1}
    (part,) = params(folder, cache=["tuned"])["parts"]
    assert part == {"name": "tuned", "keys": 5 * KEYS, "share": 0.5}
    # what is typed wins
    assert params(folder, **{"cache": "tuned", "cache.keys": 7})["keys"] == 7
    assert package.load(folder).sampling().cache.name == "full"


def test_it_survives_saving_and_exports(vartk, folder, tmp_path):
    assert vartk("calibrate", folder, "cache=tuned", "--count", 1).code == 0
    package.save(package.load(folder), tmp_path / "again")
    assert params(tmp_path / "again", cache="tuned")["keys"] == KEYS
    config = tiny.tiny_config(**{"calibration.tuned.keys": 3, "sampling.cache": "tuned"})
    assert config.sampling.cache.params["keys"] == 3
    assert model_part(config)["calibration"] == {"tuned": {"keys": 3}}


@pytest.mark.parametrize("cache", ["tuned", ["tuned"]], ids=str)
def test_again_replaces_it_where_the_cache_is_the_model_s_own_too(vartk, folder, tmp_path, cache):
    model = package.load(folder, cache=cache)
    save_model(model, tmp_path / "own")  # its model.yaml has every parameter of its cache
    own = tmp_path / "own"
    for count in (1, 2):
        assert vartk("calibrate", own, "cache=tuned", "--count", count).code == 0
        found = params(own)
        assert (found["parts"][0] if cache == ["tuned"] else found)["keys"] == count * KEYS
    assert OmegaConf.load(own / "model.yaml").calibration == {"tuned": {"keys": 2 * KEYS}}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "'full' has no parameters that depend on the model"),
        (["cache=tunde"], "did you mean 'tuned'"),
        (["cache=tuned", "cache.share=2"], "at most 1"),
        (["cache=wrong"], "unknown parameter 'kyes'; did you mean 'keys'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_leave_the_model_as_it_is(refused, folder, words, message):
    before = (folder / "model.yaml").read_bytes()
    told = refused("calibrate", folder, *words, "--count", 1)
    assert message in told
    if not words:
        assert "tuned, wrong" in told
    assert (folder / "model.yaml").read_bytes() == before


def test_a_full_disk_leaves_the_model_as_it_is(refused, folder):
    before = (folder / "model.yaml").read_bytes()
    with tiny.full_disk(100):
        message = refused("calibrate", folder, "cache=tuned", "--count", 1)
    assert "could not be written" in message
    assert (folder / "model.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ({"tunde": {"keys": 1}}, "did you mean 'tuned'"),
        ({"tuned": {"kyes": 1}}, "unknown parameter 'kyes'"),
        ({"tuned": {"keys": -1}}, "at least 0"),
        ({"tuned": 3}, "must hold parameters of cache 'tuned'"),
        (["tuned"], "calibration"),
    ],
    ids=str,
)
def test_a_model_with_another_calibration_is_refused(folder, calibration, message):
    path = folder / "model.yaml"
    values = OmegaConf.to_container(OmegaConf.load(path))
    path.write_text(OmegaConf.to_yaml({**values, "calibration": calibration}))
    with pytest.raises(VartkError, match=message):
        package.load(folder)
