"""vartk compare, on a tiny model: its numbers a second time, going on after an interruption, refusals."""

import json
import random
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny
import torch

import vartk as package
from vartk.compare import Kept, comparison, parse_ways
from vartk.compare.pictures import shown_rows
from vartk.compare.plot import front, quality
from vartk.components import plugins
from vartk.config import Layer
from vartk.engine.data import Images
from vartk.images import open_image

pytestmark = pytest.mark.usefixtures("one_thread")

FORGETFUL = """
from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components():
    return [
        ComponentSpec(kind="cache", name="forgetful", target="acme_forgetful:Forgetful", summary="one scale"),
        ComponentSpec(
            kind="feature",
            name="absent",
            target="acme_forgetful:Absent",
            summary="cannot be had",
            requires=("no_such_library",),
            install_hint='pip install "acme[eyes]"',
        ),
    ]


class Forgetful:
    lossless = False

    def steps(self, schedule):
        return len(schedule)

    def start(self, plan):
        return State()


class State:
    def __init__(self):
        self.held = {}

    def append(self, layer, step, q, k, v):
        self.held[layer] = k, v
        return k, v

    def select(self, layer, branch, step, x):
        return None

    def restore(self, layer, branch, step, out, kept):
        return out

    def narrow(self, batch):
        self.held = {layer: (k[:batch], v[:batch]) for layer, (k, v) in self.held.items()}

    def nbytes(self):
        return sum(t.nbytes for held in self.held.values() for t in held)
"""

SECONDS = (
    "seconds_per_image",
    "transformer_seconds",
    "decoder_seconds",
    "processor_seconds",
    "speedup",
    "transformer_speedup",
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return tiny.images_folder(tmp_path_factory.mktemp("photos"), train=14, validation=5)


@pytest.fixture
def forgetful(install):
    install("acme_forgetful", FORGETFUL)
    return "forgetful"


@pytest.fixture
def _memory_unmeasured(monkeypatch):
    """Leave out the process that each way's memory takes."""
    monkeypatch.setattr(comparison, "peak_memory", lambda *arguments: 2**30)


@pytest.fixture
def words(model_folder, photos, eyes, forgetful):
    """The start of a command that compares two caches and another sampler."""
    data = ("dataset=folder", f"dataset.path={photos}", f"feature={eyes}")
    ways = ("--cache", f"full,{forgetful}", "--way", "sharp: sampler=greedy")
    return ["compare", model_folder, *data, *ways, "--count", 6, "--batch", 4]


def pixels(images):
    """Images in [0, 1] as files hold them."""
    return np.round(images.numpy().astype(np.float64) * 255) / 255


def frechet(found, reference):
    """The Frechet distance by the eigenvalues of the covariances' product."""
    a, b = np.cov(found.T), np.cov(reference.T)
    roots = np.sqrt(np.linalg.eigvals(a @ b).astype(complex)).real.sum()
    return np.square(found.mean(0) - reference.mean(0)).sum() + np.trace(a) + np.trace(b) - 2 * roots


@pytest.mark.usefixtures("_memory_unmeasured")
def test_the_numbers_are_those_of_the_ways_own_samples(vartk, words, model_folder, photos, tmp_path):
    ran = vartk(*words, "--seed", 3, "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out.splitlines()[-1])
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == made
    assert [way["name"] for way in made["ways"]] == ["full", "forgetful", "sharp"]
    assert (made["count"], made["seed"], made["batch"], made["feature"]) == (6, 3, 4, "Eyes")
    labels = made["labels"]
    assert Counter(labels) == {0: 2, 1: 2, 2: 2}  # of 14 training images of three classes in turn

    model, registry = package.load(model_folder), plugins().registry
    feature = registry.build("feature", "eyes", {})
    dataset = registry.build("dataset", "folder", {"path": str(photos)}, split="train")
    order = random.Random(3).sample(range(14), 14)
    real = torch.stack([(Images(dataset, (16, 16))[i] + 1) / 2 for i in order])
    real = feature.pooled(torch.from_numpy(pixels(real)).float()).double().numpy()
    settings = {"full": {}, "forgetful": {"cache": "forgetful"}, "sharp": {"sampler": "greedy"}}
    samples = {name: model.sample(labels, seed=3, batch=4, **own) for name, own in settings.items()}
    first, first_codes = pixels(samples["full"].images), torch.cat(samples["full"].codes, dim=1)
    for way in made["ways"]:
        images = pixels(samples[way["name"]].images)
        alike = (torch.cat(samples[way["name"]].codes, dim=1) == first_codes).double().mean().item()
        assert way["codes_alike"] == pytest.approx(alike)
        errors = np.square(images - first).mean(axis=(1, 2, 3))
        assert way["images_equal"] == pytest.approx((errors == 0).mean())
        if way["name"] == "full":
            assert (way["psnr_db"], way["ssim"], way["speedup"]) == (None, pytest.approx(1), 1)
        else:
            assert way["psnr_db"] == pytest.approx(np.mean(-10 * np.log10(errors[errors > 0])), rel=1e-4)
            assert way["ssim"] < 1
        seen = torch.from_numpy(images).float()
        distance = feature.distance(seen, torch.from_numpy(first).float()).mean().item()
        assert way["perceptual"] == pytest.approx(distance, rel=1e-4, abs=1e-9)
        assert (way["n"], way["m"]) == (6, 8)
        found = feature.pooled(seen).double().numpy()
        assert way["fd"] == pytest.approx(frechet(found, real[6:]), rel=1e-4)
        assert way["peak_memory_bytes"] == 2**30
        low, median, high = (way["seconds_per_image"][key] for key in ("low", "median", "high"))
        assert 0 < low == median == high  # of the one full batch
        assert way["transformer_seconds"] + way["decoder_seconds"] == pytest.approx(median)
        for stage, seconds in way["processor_seconds"].items():
            assert 0 < seconds < 1.5 * way[f"{stage}_seconds"]  # one thread
    assert made["real_images"]["fd"] == pytest.approx(frechet(real[:6], real[6:]), rel=1e-4)
    # k and v, 2 layers, tokens, width 32, fp32, both halves of guidance
    held = {way["name"]: way["cache_bytes_per_image"] for way in made["ways"]}
    assert held["full"] == 2 * 2 * (1 + 4 + 16) * 32 * 4 * 2
    assert held["forgetful"] == 2 * 2 * 16 * 32 * 4 * 2


@pytest.mark.usefixtures("_memory_unmeasured")
def test_the_report_and_the_pictures(vartk, words, tmp_path):
    out = tmp_path / "out"
    ran = vartk(*words, "--out", out)
    assert ran.code == 0, ran.err
    for text in (
        "speed-up",
        "processor",
        "codes alike",
        "FD-Eyes",
        "real images",
        "sampler=greedy",
        "seeds (from 0 up)",
    ):
        assert text in ran.out
    page = (out / "compare.md").read_text()
    assert f"vartk compare {words[1]}" in page
    assert "| forgetful | cache=forgetful |" in page
    drawing = "".join(ElementTree.parse(out / "pareto.svg").getroot().itertext())
    assert all(text in drawing for text in ("full", "forgetful", "sharp", "FD-Eyes", "seconds per image"))
    # six images of 16 pixels, enlarged six times, 2 pixels apart
    for way in ("full", "forgetful", "sharp"):
        assert open_image(out / "strips" / f"{way}.png").size == (6 * 98 - 2, 96)
    assert open_image(out / "strips.png").height > 3 * 96


@pytest.mark.usefixtures("_memory_unmeasured")
def test_a_stopped_comparison_goes_on(vartk, words, tmp_path, monkeypatch):
    out, keep, kept = tmp_path / "out", Kept.keep, []

    def stopping(self, way, start, tensors):
        if len(kept) == 4:
            raise KeyboardInterrupt
        kept.append(self._batch(way, start))
        keep(self, way, start, tensors)

    monkeypatch.setattr(Kept, "keep", stopping)
    ran = vartk(*words, "--out", out, "--json")
    assert (ran.code, ran.out) == (130, "")
    assert "the same command goes on" in ran.err
    assert not (out / "compare.json").exists()
    monkeypatch.setattr(Kept, "keep", keep)
    before = [path.stat().st_mtime_ns for path in kept]
    assert vartk(*words, "--out", out).code == 0
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert vartk(*words, "--out", tmp_path / "whole").code == 0
    resumed, whole = (
        json.loads((folder / "compare.json").read_text()) for folder in (out, tmp_path / "whole")
    )
    for one, other in zip(resumed["ways"], whole["ways"], strict=True):
        assert {k: v for k, v in one.items() if k not in SECONDS} == {
            k: v for k, v in other.items() if k not in SECONDS
        }


@pytest.mark.usefixtures("_memory_unmeasured")
def test_another_setting_does_not_go_on(vartk, refused, words, tmp_path):
    out = tmp_path / "out"
    assert vartk(*words, "--out", out).code == 0
    assert "count was 6 and is 7" in refused(*words, "--count", 7, "--out", out)
    assert "ways.sharp.guidance.scale was 1.5 and is 3" in refused(*words, "guidance.scale=3", "--out", out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    assert "is not overwritten" in refused(*words, "--out", tmp_path / "mine")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--cache", "full,forgetfull"], "did you mean 'forgetful'"),
        (["--cache", "full,{name: forgetful, depth: 2}"], "unknown parameter 'depth'"),
        (["--cache", "full,full"], "names full twice"),
        (["--cache", "full,[forgetful,window]"], "forgetful+window: cache=[forgetful,window]"),
        (["--way", "x: attention=flash"], "x: attention"),
        (["--cache", ""], "names no strategy"),
        (["--cache", "full,{}"], "is no cache strategy"),
        (["--way", "sampler=greedy"], "give a name and settings"),
        (["--way", "..: sampler=greedy"], "give a name and settings"),
        (["--way", "x: guidance.scal=2"], "did you mean 'scale'"),
        (["--way", "x: precison=bf16"], "did you mean precision?"),
        (["--way", "x: 'precision=bf16"], "No closing quotation"),
        (["--way", "x: batch=2"], "all ways have one, by --batch"),
        (["--way", "forgetful: precision=bf16"], "two ways are called forgetful"),
        (["cache=full"], "named by --cache"),
        (["--class", "nosuch"], "nosuch"),
        (["guidance.scale=high"], "guidance.scale"),
        (["metrics=[psnr]"], "compares images in pairs"),
        (["feature=eye"], "did you mean 'eyes'"),
        (["--device", "nosuch"], "nosuch"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_before_anything_is_sampled(refused, words, tmp_path, wrong, message):
    assert message in refused(*words, *wrong, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_alone_is_refused(refused, tokenizer_folder, tmp_path):
    message = refused("compare", tokenizer_folder, "--out", tmp_path / "out")
    assert "a tokenizer alone" in message


def test_what_is_not_there_is_left_out_and_why(vartk, model_folder, forgetful, tmp_path):
    """Without the feature's library; and the memory of a real process."""
    words = ("compare", model_folder, "--count", 4, "feature=absent")
    ran = vartk(*words, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert (
        "perceptual distance left out: feature 'absent' needs no_such_library; pip install \"acme" in ran.out
    )
    made = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert made["labels"] == [0, 1, 2, 0]
    (way,) = made["ways"]
    assert not {"fd", "kid", "perceptual"} & way.keys()
    assert way["peak_memory_bytes"] > 5 * 10**7
    assert quality(made)[0] == "share of codes other than full's"


@pytest.mark.usefixtures("_memory_unmeasured")
@pytest.mark.parametrize(
    ("more", "why"),
    [([], "does not say what images"), (["--class", "dark,1"], "other classes than the training images")],
)
def test_sets_are_not_compared_without_images_of_the_same_classes(
    vartk, model_folder, eyes, tmp_path, more, why
):
    words = ("compare", model_folder, f"feature={eyes}", "--count", 4, *more)
    ran = vartk(*words, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    (line,) = (line for line in ran.out.splitlines() if "left out" in line)
    assert line.startswith("distances between sets of images left out: ")
    assert why in line
    made = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert made["ways"][0]["perceptual"] == 0
    assert "fd" not in made["ways"][0]


def test_ways_as_they_are_typed(forgetful):
    model = tiny.tiny_model(found=plugins())
    shared = Layer("command line", {"guidance": {"scale": 2.5}})
    ways = parse_ways(model, shared, "forgetful,[full]", ["a: precision=bf16", "b: cache=full top_k=3"])
    assert [way.name for way in ways] == ["forgetful", "full", "a", "b"]
    assert [way.sampling.cache.name for way in ways] == ["forgetful", "chain", "forgetful", "full"]
    assert [way.sampling.precision for way in ways] == ["auto", "auto", "bf16", "auto"]
    assert [way.sampling.sampler.params["top_k"] for way in ways] == [12, 12, 12, 3]
    assert {way.sampling.guidance.params["scale"] for way in ways} == {2.5}


def test_the_front_holds_what_nothing_beats():
    points = [("a", 1, 5), ("b", 2, 3), ("c", 3, 4), ("d", 4, 3), ("e", 5, 1)]
    assert [name for name, _, _ in front(points)] == ["a", "b", "e"]


def test_shown_are_all_labels_first():
    assert shown_rows([4, 4, 7, 4, 9]) == [0, 2, 4, 1, 3]
    assert shown_rows(list(range(20))) == list(range(8))
