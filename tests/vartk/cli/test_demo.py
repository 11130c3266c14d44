"""vartk demo: the main job, in miniature."""

import json

import pytest
from PIL import Image

SMALL = (
    "dataset.groups=[activities]",
    "dataset.styles=[noto-blob]",
    "schedule=powers-of-four",
    "tokenizer.multipliers=[1,1,1,1]",
    "image_size=32",
    "transformer.depth=1",
    *(f"train.{stage}.{key}" for stage in ("tokenizer", "transformer") for key in ("steps=2", "batch=4")),
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_demo_trains_samples_and_reports(vartk, here):
    ran = vartk("demo", *SMALL, "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    out = here / "vartk-demo"
    assert {path.name for path in out.iterdir()} == {
        "emoji64.png",
        "tokenizer",
        "tokens",
        "transformer",
        "grid.png",
        "coarse-to-fine.png",
        "report.md",
    }
    assert (made["classes"], made["grid"]) == (["activities"], "vartk-demo/grid.png")
    for name in ("embedded", "grid", "strip", "reconstructions"):
        with Image.open(made[name]) as picture:
            picture.load()
    with Image.open(made["strip"]) as strip:
        assert strip.width == 3 * (3 * 32 + 2) - 2  # scales 1, 2, 4 of 32 pixels, three times enlarged
    report = (out / "report.md").read_text()
    for picture in ("emoji64.png", "grid.png", "coarse-to-fine.png", "tokenizer/pictures/step-00000002.png"):
        assert f"]({picture})" in report
        assert (out / picture).is_file()
    assert made["transformer_last_loss"] > 0
    assert "1/2 tokenizer 2/2 loss " in ran.err
    assert "2/2 transformer 2/2 loss " in ran.err
    # what it says to try next
    assert vartk("sample", made["model"], "--class", "activities", "--count", 2, "--out", "samples").code == 0


def test_demo_never_overwrites(refused, here):
    (here / "vartk-demo").mkdir()
    (here / "vartk-demo" / "mine.txt").write_text("mine")
    assert refused("demo") == (
        "vartk: vartk-demo exists and is not overwritten; give another --out, or remove it\n"
    )


def test_demo_refuses_wrong_settings_before_it_begins(refused, here):
    assert "did you mean 'depth'?" in refused("demo", "transformer.dpeth=2")
    assert "device 'gpu' cannot be used here" in refused("demo", "--device", "gpu")
    assert list(here.iterdir()) == []
