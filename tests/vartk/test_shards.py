"""Samples in shards: whole files, which a stopped run goes on with."""

import numpy as np
import pytest
import tiny

from vartk.engine.distributed import World
from vartk.tasks import shards
from vartk.tasks.shards import sample_shards
from vartk_registry import VartkError

LABELS = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]


class Bar:
    told: list[float]

    def __init__(self, title, total):
        self.total = total
        Bar.told = []

    def update(self, done, text=""):
        Bar.told.append(done)
        assert done <= self.total


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 4)


@pytest.fixture(scope="module")
def model():
    return tiny.tiny_model()


def sample(model, folder, world=shards.ALONE, bar=Bar, seed=5, **settings):
    sampling = model.sampling(batch=2, **settings)
    return sample_shards(model, LABELS, seed, sampling, folder, {"transformer": "w"}, bar, world)


def images(paths):
    return np.concatenate([np.load(path)["arr_0"] for path in paths])


def test_shards_hold_the_model_s_own_samples(model, tmp_path):
    paths = sample(model, tmp_path / "s")
    assert [len(np.load(path)["arr_0"]) for path in paths] == [4, 4, 2]
    assert np.concatenate([np.load(path)["arr_1"] for path in paths]).tolist() == LABELS
    expected = model.sample(LABELS, seed=5, batch=2).images
    assert np.array_equal(images(paths), (expected * 255).round().byte().permute(0, 2, 3, 1).numpy())
    assert Bar.told[-1] == 10


def test_a_killed_run_goes_on_without_a_changed_image(model, tmp_path):
    whole = images(sample(model, tmp_path / "whole"))

    class Killed(Bar):
        def update(self, done, text=""):
            if done > 7:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(model, tmp_path / "s", bar=Killed)
    kept = sorted(path.name for path in (tmp_path / "s").glob("*.npz"))
    assert kept == ["000000000.npz"]
    (tmp_path / "s" / ".000000004.npz.partial").touch()  # as a kill in the middle of a write leaves it
    first = (tmp_path / "s" / kept[0]).stat().st_mtime_ns
    paths = sample(model, tmp_path / "s")
    assert np.array_equal(images(paths), whole)
    assert paths[0].stat().st_mtime_ns == first
    assert min(Bar.told) > 4
    assert not list((tmp_path / "s").glob(".*"))
    sample(model, tmp_path / "s")
    assert Bar.told == []  # nothing is left to do


def test_any_number_of_processes_makes_the_same_set(model, tmp_path, monkeypatch):
    whole = images(sample(model, tmp_path / "whole"))
    monkeypatch.setattr(World, "wait", lambda self: None)
    for rank in range(2):
        sample(model, tmp_path / "s", World(rank, 2))
        done = sorted(int(path.stem) for path in (tmp_path / "s").glob("*.npz"))
        assert done == [[0, 8], [0, 4, 8]][rank]
    assert np.array_equal(images(sorted((tmp_path / "s").glob("*.npz"))), whole)


def test_other_settings_are_refused(model, tmp_path):
    sample(model, tmp_path / "s")
    with pytest.raises(VartkError) as error:
        sample(model, tmp_path / "s", guidance=2)
    assert "s holds samples begun with other settings" in str(error.value)
    assert "sampling.guidance.scale was 1.5 and is 2.0" in str(error.value)
    with pytest.raises(VartkError, match="seed was 5 and is 6"):
        sample(model, tmp_path / "s", seed=6)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photo.png").touch()
    with pytest.raises(VartkError, match="other exists and is not overwritten"):
        sample(model, tmp_path / "other")
    (tmp_path / "s" / "begun.json").write_text("{")
    with pytest.raises(VartkError, match=r"begun\.json cannot be read"):
        sample(model, tmp_path / "s")
