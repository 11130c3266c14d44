"""vartk config."""

import json

import pytest


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def last(out):
    return json.loads(out.splitlines()[-1])


def test_show_prints_each_key_its_value_and_its_source(vartk):
    lines = vartk("config", "show", "demo", "transformer.depth=3").out.splitlines()
    shown = {line.split()[0]: line for line in lines}
    assert shown["transformer.depth"].split(maxsplit=2) == ["transformer.depth", "3", "command line"]
    assert shown["transformer.width"].endswith("  preset demo")
    assert shown["train.tokenizer.clip"].split() == ["train.tokenizer.clip", "2.0", "default"]


def test_a_long_value_is_not_broken_in_a_pipe(vartk):
    classes = ",".join(f"class-{index}" for index in range(200))
    out = vartk("config", "show", "demo", f"classes=[{classes}]").out
    assert "'class-0', 'class-1'" in out
    assert len(out.splitlines()) == len(vartk("config", "show", "demo").out.splitlines())


def test_what_show_prints_as_json_is_a_configuration(vartk, here):
    given = last(vartk("config", "show", "demo", "schedule=linear", "schedule.steps=4", "--json").out)
    assert given["config"]["schedule"] == {"name": "linear", "steps": 4}
    assert given["sources"]["schedule.steps"] == "command line"
    (here / "again.yaml").write_text(json.dumps(given["config"]))
    assert last(vartk("config", "show", "again.yaml", "--json").out)["config"] == given["config"]


def test_diff_shows_only_what_differs(vartk, here):
    base = "extends: demo\ntransformer: {depth: 2}\nsampling: {sampler: {top_k: 5, top_p: 0.5}}\n"
    (here / "base.yaml").write_text(base)
    (here / "mine.yaml").write_text(
        "extends: base.yaml\ntransformer: {depth: 9}\nsampling: {sampler: greedy}\n"
    )
    lines = vartk("config", "diff", "base.yaml", "mine.yaml").out.splitlines()
    assert [line.split() for line in lines] == [
        ["key", "base.yaml", "mine.yaml"],
        ["transformer.depth", "2", "9"],
        ["sampling.sampler.name", "categorical", "greedy"],
        ["sampling.sampler.top_k", "5"],
        ["sampling.sampler.top_p", "0.5"],
        ["sampling.sampler.temperature", "1.0"],
        ["sampling.sampler.temperatures", "[]"],
    ]
    differ = last(vartk("config", "diff", "base.yaml", "mine.yaml", "--json").out)["differ"]
    assert differ["transformer.depth"] == [2, 9]
    assert last(vartk("config", "diff", "demo", "demo", "--json").out) == {"differ": {}}


def test_validate_says_that_it_is_valid(vartk):
    assert vartk("config", "validate", "demo").out == "demo is valid\n"
    assert last(vartk("config", "validate", "demo", "--json").out) == {"valid": True}


def test_validate_prints_every_problem(refused, here):
    (here / "bad.yaml").write_text("smapling: 1\ntransformer: {depth: deep}\nschedule: liner\n")
    message = refused("config", "validate", "bad.yaml", "augment.scale=0.5")
    assert message.startswith(
        "vartk: 4 problems:\n  bad.yaml: unknown key 'smapling'; did you mean sampling?\n"
    )
    assert (
        "  bad.yaml: transformer.depth of transformer 'var': depth='deep' must be a whole number" in message
    )
    assert "  bad.yaml: schedule: unknown schedule 'liner'; did you mean 'linear'?" in message
    assert "  command line: augment.scale=0.5 is out of range; it must be at least 1\n" in message


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["image_size=101"],
            "101x101 pixels does not fit this tokenizer, whose sides must be multiples of 4",
        ),
        (["image_size=big"], "image_size='big' must be a side in pixels, or [height, width]"),
        (["image_size=64", "image_size.x=3"], "must be a side in pixels, or [height, width]"),
        (
            ["schedule=var-256"],
            "schedule 'var-256' ends at 16x16, but the tokenizer's latent grid at this image size is 8x8; "
            "choose schedule=geometric",
        ),
        (["transformer.width=100", "transformer.heads=3"], "width=100 is no multiple of heads=3"),
    ],
)
def test_validate_finds_parts_that_do_not_fit(refused, overrides, problem):
    assert problem in refused("config", "validate", "demo", *overrides)


@pytest.mark.parametrize("action", ["show", "validate", "diff"])
def test_a_configuration_that_is_not_there(refused, action):
    message = refused("config", action, "dmo", *(["demo"] if action == "diff" else []))
    assert message.startswith(
        "vartk: no configuration 'dmo': neither a YAML file nor a preset; did you mean 'demo'?"
    )
