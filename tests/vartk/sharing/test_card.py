"""vartk card, and what is refused of names and revisions before anything is asked of the hub."""

import pytest
import yaml
from PIL import Image
from tiny import tiny_model

import vartk as toolkit


@pytest.fixture
def run_folder(tmp_path):
    """A training run's folder."""
    run = tmp_path / "run"
    toolkit.save(tiny_model(), run / "model")
    (run / "config.yaml").write_text("image_size: 16\ntrain:\n  transformer:\n    steps: 77\n")
    return run


def test_a_card_has_pictures_use_settings_numbers_and_training(vartk, run_folder, tmp_path):
    evaluation = tmp_path / "evaluation"
    evaluation.mkdir()
    (evaluation / "report.md").write_text("# Evaluation\n\nFD 12.5\n\n![curve](scales.svg)\n")
    ran = vartk("card", run_folder, "--license", "mit", "--evaluation", evaluation)
    assert ran.code == 0, ran.err
    card = (run_folder / "model" / "README.md").read_text()
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "license": "mit",
        "library_name": "vartk",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["vartk", "visual-autoregressive", "next-scale-prediction"],
    }
    for part in ("![16 samples, seeds 0 to 15](samples.png)", "vartk.load(", "FD 12.5", "steps: 77"):
        assert part in body
    assert "scales.svg" not in body
    with Image.open(run_folder / "model" / "samples.png") as picture:
        assert picture.width > 8 * 16


def test_a_tokenizer_alone_has_a_card_without_pictures(vartk, tmp_path):
    toolkit.save(tiny_model(predictor=False), tmp_path / "tokenizer")
    assert vartk("card", tmp_path / "tokenizer").code == 0
    assert "samples.png" not in (tmp_path / "tokenizer" / "README.md").read_text()


def test_a_card_is_replaced_only_if_that_is_said(vartk, refused, run_folder):
    path = run_folder / "model" / "README.md"
    path.write_text("---\nlicense: mit\n---\nmine\n")
    assert "give --replace to write over it" in refused("card", run_folder)
    assert path.read_text().endswith("mine\n")
    assert vartk("card", run_folder, "--replace").code == 0
    assert "mine" not in path.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("card", "me/none"), "is no model folder here; `vartk pull` fetches one of the hub"),
        (("push", "emoji64", "tiny"), "'tiny' is no repository of the hub; give user/name"),
        (("pull", "tiny"), "'tiny' is no repository of the hub; give user/name"),
    ],
)
def test_wrong_names_are_refused(refused, words, message):
    assert message in refused(*words)


def test_an_evaluation_without_a_report_is_refused(refused, run_folder, tmp_path):
    assert "holds no report.md" in refused("card", run_folder, "--evaluation", tmp_path)


def test_a_revision_is_of_the_hub_alone(run_folder):
    with pytest.raises(toolkit.VartkError, match=r"revision='main' is of a model on the hub, and .* is none"):
        toolkit.load(run_folder, revision="main")
