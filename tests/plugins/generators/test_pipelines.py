"""Pipelines of diffusers, built tiny and saved as diffusers saves them."""

import pipelines
import pytest

import vartk
from vartk import VartkError
from vartk_registry.testing import check_generator

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers and transformers warn of each other


@pytest.fixture(scope="module")
def stable_diffusion(tmp_path_factory):
    return pipelines.save_stable_diffusion(tmp_path_factory.mktemp("pipelines") / "sd")


@pytest.fixture(scope="module")
def dit(tmp_path_factory):
    return pipelines.save_dit(tmp_path_factory.mktemp("pipelines") / "dit")


def test_stable_diffusion_draws_prompts(stable_diffusion):
    model = vartk.load(stable_diffusion, device="cpu")
    assert (model.takes, model.classes, model.config.image_size) == ("caption", [], [16, 16])
    settings = {"steps": 2, "guidance": 3.0, "negative_prompt": ""}
    check_generator(model.generator, (16, 16), ["a red apple", "two dogs"], **settings)


def test_a_negative_prompt_changes_the_image(stable_diffusion):
    model = vartk.load(stable_diffusion, device="cpu")
    plain, other = (
        model.sample(["an apple"], seed=1, steps=2, negative_prompt=negative).images
        for negative in ("", "blur")
    )
    assert not plain.equal(other)


def test_dit_draws_classes(dit):
    model = vartk.load(dit, device="cpu")
    assert (model.takes, model.classes[7]) == ("label", "class 7")
    settings = {"steps": 2, "guidance": 3.0, "negative_prompt": ""}
    check_generator(model.generator, (16, 16), ["class 7", 3], **settings)
    with pytest.raises(VartkError, match="takes no negative_prompt"):
        model.sample([1], negative_prompt="blur")
    with pytest.raises(VartkError, match="did you mean 'class 901'") as refused:  # not among the first names
        model.sample(["clas 901"])
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("path", ["", "missing/folder"])
def test_a_pipeline_that_is_not_there(path, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "model.yaml").write_text(f"generator: {{name: diffusers, path: '{path}'}}")
    with pytest.raises(VartkError, match=r"generator\.path"):
        vartk.load(tmp_path)


def test_the_command_line(stable_diffusion, tmp_path, capsys):
    from vartk.cli.main import main

    words = ["sample", str(stable_diffusion), "--class", "a red, round apple", "generator.steps=2"]
    assert main([*words, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"000000.png", "grid.png", "samples.json"}
    assert "a red, round apple" in (tmp_path / "out" / "samples.json").read_text()
