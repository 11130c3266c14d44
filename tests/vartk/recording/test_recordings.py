"""Which generations are recorded, and which recordings are kept."""

import pytest
import torch
from tiny import tiny_model

from vartk.engine.inference.precision import PRECISIONS
from vartk.engine.recording.recordings import Recordings

pytestmark = pytest.mark.usefixtures("one_thread")


class Begun:
    """A transformer that counts the generations which Python begins; a replay begins none."""

    def __init__(self, transformer):
        self.transformer = transformer
        self.count = 0

    def begin(self, *args):
        self.count += 1
        return self.transformer.begin(*args)


class Sampler:
    """Samples from one model by its recordings."""

    def __init__(self, limit=None):
        self.model = tiny_model()
        self.begun = Begun(self.model.predictor.transformer)
        plain = PRECISIONS["plain"]
        self.recordings = Recordings(self.model.tokenizer, self.begun, plain, self.model.device, limit)

    def run(self, labels, seed=3, settings="usual"):
        """Check a generation against the usual one; return how often Python began one, and the states."""
        conditioner, before = self.model.predictor.conditioner, self.begun.count
        condition, null = conditioner(torch.tensor(labels)), conditioner(conditioner.null(len(labels)))
        seeds = [seed + index for index in range(len(labels))]
        recipe = self.model.recipe(self.model.config.sampling, seeds)
        states = list(self.recordings.generate(condition, null, recipe, [], settings))
        for found, expected in zip(states, self.model.stream(labels, seed=seeds), strict=True):
            assert torch.equal(found.codes, expected.codes)
            assert torch.equal(found.f_hat, expected.f_hat)
        return self.begun.count - before, states


@pytest.fixture
def sampler():
    return Sampler()


def test_the_second_generation_is_recorded_and_the_others_are_replayed(sampler):
    assert [sampler.run([0, 1, 2], seed)[0] for seed in range(4)] == [1, 1, 0, 0]


def test_a_last_smaller_batch_fills_up_a_recording(sampler):
    for _ in range(2):
        sampler.run([0, 1, 2])
    assert sampler.run([2, 0])[0] == 0
    # a batch that comes again gets a recording of its own
    assert [sampler.run([2, 0], seed)[0] for seed in range(3)] == [1, 1, 0]


def test_other_settings_and_shapes_have_other_recordings(sampler):
    for _ in range(2):
        sampler.run([0, 1])
    assert sampler.run([0, 1], settings="others")[0] == 1
    assert sampler.run([0, 1, 2])[0] == 1
    assert sampler.run([1, 0])[0] == 0


def test_the_least_recently_used_recording_makes_room():
    size = recorded_bytes()
    sampler = Sampler(limit=int(2.5 * size))
    for settings in ("a", "b"):
        for _ in range(2):
            sampler.run([0, 1], settings=settings)
    assert sampler.run([0, 1], settings="a")[0] == 0
    for _ in range(2):
        sampler.run([0, 1], settings="c")
    assert [sampler.run([0, 1], settings=settings)[0] for settings in "acb"] == [0, 0, 1]


def test_a_recording_that_is_too_large_is_not_kept():
    sampler = Sampler(limit=recorded_bytes() - 1)
    assert [sampler.run([0, 1])[0] for _ in range(3)] == [1, 1 + 1, 1]
    assert "recordings may hold" in sampler.run([0, 1])[1][-1].unrecorded


def recorded_bytes():
    sampler = Sampler()
    for _ in range(2):
        sampler.run([0, 1])
    (key,) = sampler.recordings.kept
    return sampler.recordings.kept[key]
