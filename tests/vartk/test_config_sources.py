"""Where layers come from: presets, YAML files and what they extend, overrides."""

import pytest

from vartk.components import plugins
from vartk.config import Config, compose, load_layers, nest, parse_overrides
from vartk_registry import VartkError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, text):
    with open(name, "w") as file:
        file.write(text)
    return name


def sources(name):
    return [layer.source for layer in load_layers(name, plugins())]


def message(name):
    with pytest.raises(VartkError) as caught:
        load_layers(name, plugins())
    return str(caught.value)


def test_a_chain_of_extends_is_read_from_its_end():
    write("one.yaml", "extends: demo\nimage_size: 1\n")
    write("two.yml", "extends: [one.yaml, var-d16]\nimage_size: 2\n")
    assert sources("two.yml") == ["preset demo", "one.yaml", "preset var-d16", "two.yml"]
    made = compose(Config, load_layers("two.yml", plugins()), plugins())
    assert (made.config.image_size, made.sources["image_size"]) == (2, "two.yml")
    assert made.sources["transformer.depth"] == "preset var-d16"


def test_a_run_folder_stands_for_its_configuration(here):
    (here / "run").mkdir()
    write("run/config.yaml", "image_size: 8")
    assert sources("run") == ["run/config.yaml"]


def test_a_preset_in_a_folder_of_its_name_is_still_found(here):
    (here / "demo").mkdir()
    assert sources("demo") == ["preset demo"]


def test_a_circle_of_extends_is_refused():
    write("one.yaml", "extends: two.yaml")
    write("two.yaml", "extends: one.yaml")
    assert message("one.yaml").endswith("in a circle: one.yaml -> two.yaml -> one.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1\nb: 2", "bad.yaml is not a valid YAML configuration"),
        ("a: 1\na: 2", "bad.yaml is not a valid YAML configuration"),
        ("- a\n- b", "bad.yaml must hold keys and values, not a list"),
        ("a: ${nothing}", "Interpolation key 'nothing' not found"),
        ("extends: [demo, 3]", "extends must be a name or a list of names, not ['demo', 3]"),
        ("extends: {demo: 1}", "extends must be a name or a list of names"),
        ("extends: dmo", "no configuration 'dmo': neither a YAML file nor a preset; did you mean 'demo'?"),
    ],
)
def test_a_file_that_is_no_configuration(text, problem):
    write("bad.yaml", text)
    assert problem in message("bad.yaml")


def test_a_file_that_is_no_text(here):
    (here / "bad.yaml").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    assert "bad.yaml is not a valid YAML configuration" in message("bad.yaml")


def test_a_file_that_is_not_there():
    assert "no configuration 'gone.yaml': neither a YAML file nor a preset" in message("gone.yaml")


def test_an_empty_file_changes_nothing():
    write("empty.yaml", "")
    made = compose(Config, load_layers("empty.yaml", plugins()), plugins())
    assert made == compose(Config, [], plugins())


def test_references_are_resolved():
    write("refers.yaml", "image_size: 64\ntrain: {tokenizer: {batch: '${image_size}'}}")
    (layer,) = load_layers("refers.yaml", plugins())
    assert layer.values["train"]["tokenizer"]["batch"] == 64


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-2", -2),
        ("1e-4", 1e-4),
        ("1e3", 1000.0),
        ("0.5", 0.5),
        ("true", True),
        ("false", False),
        ("null", None),
        ("", None),
        ("[1,2]", [1, 2]),
        ("[1, [2, 3]]", [1, [2, 3]]),
        ("{name: linear, steps: 3}", {"name": "linear", "steps": 3}),
        ("some text", "some text"),
        ("'3'", "3"),
        ("a=b", "a=b"),
        ("/data/photos", "/data/photos"),
    ],
)
def test_the_value_of_an_override_is_read_as_yaml(text, value):
    made = parse_overrides([f"key={text}"]).values["key"]
    assert (made, type(made)) == (value, type(value))


def test_dotted_keys_nest_and_later_overrides_win():
    layer = parse_overrides(["a.b.c=1", "a.b.d=2", "a.b.c=3"])
    assert (layer.values, layer.source) == ({"a": {"b": {"c": 3, "d": 2}}}, "command line")


@pytest.mark.parametrize(
    "overrides", [["schedule=linear", "schedule.steps=3"], ["schedule.steps=3", "schedule=linear"]]
)
def test_a_slot_and_its_parameter_meet_in_either_order(overrides):
    assert parse_overrides(overrides).values == {"schedule": {"name": "linear", "steps": 3}}


def test_mappings_and_dotted_keys_add_up():
    given = {"sampler.top_k": 5, "sampler": {"temperature": 2}, "sampler.top_p": 0.5}
    expected = {"sampler": {"top_k": 5, "temperature": 2, "top_p": 0.5}}
    assert nest(given, "call").values == expected
    assert nest(dict(reversed(given.items())), "call").values == expected
    assert given["sampler"] == {"temperature": 2}


@pytest.mark.parametrize("word", ["steps", "=3", "--steps"])
def test_a_word_that_is_no_setting(word):
    with pytest.raises(VartkError, match=r"is not a setting; write key=value, as in guidance.scale=3"):
        parse_overrides([word])


def test_a_value_that_is_not_yaml():
    with pytest.raises(VartkError, match=r"'a=\[1': '\[1' is not a valid YAML value"):
        parse_overrides(["a=[1"])
