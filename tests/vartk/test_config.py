"""Composition: layers, slots, provenance, and every problem at once."""

import dataclasses

import pytest

from vartk.components import plugins
from vartk.config import Config, ConfigErrors, Layer, SamplingConfig, Slot, compose, nest, plain


def composed(*layers, schema=Config):
    named = [Layer(f"layer {index}", values) for index, values in enumerate(layers)]
    return compose(schema, named, plugins())


def problems(*layers):
    with pytest.raises(ConfigErrors) as caught:
        composed(*layers)
    return caught.value.problems


def test_nothing_given_is_the_defaults():
    made = composed()
    assert set(made.sources.values()) == {"default"}
    assert made.config.train == Config().train
    assert made.config.sampling.sampler.name == "categorical"
    # a slot's own defaults, over those of the component
    own = {"temperature": 1.0, "final_temperature": None, "temperatures": []}
    assert made.config.sampling.sampler.params == {"top_k": 900, "top_p": 0.96, **own}


def test_a_key_has_one_value_by_either_spelling():
    made = composed(
        {"train": {"transformer": {"start_from": "first"}}}, {"train": {"transformer": {"from": "emoji64"}}}
    )
    assert made.config.train.transformer.start_from == "emoji64"
    assert made.sources["train.transformer.start_from"] == "layer 1"
    (problem,) = problems({"train": {"generator": {"from": "emoji64"}}})
    assert "unknown key 'train.generator.from'" in problem


def test_later_layers_win_key_by_key():
    made = composed(
        {"image_size": 64, "train": {"tokenizer": {"lr": 1e-3, "batch": 8}}},
        {"train": {"tokenizer": {"batch": 4}}},
    )
    stage = made.config.train.tokenizer
    assert (made.config.image_size, stage.lr, stage.batch) == (64, 1e-3, 4)


def test_every_key_tells_where_it_came_from():
    made = composed({"transformer": {"depth": 4}, "augment": {"flip": True}}, {"transformer": {"depth": 5}})
    assert made.sources["transformer.depth"] == "layer 1"
    assert made.sources["transformer.name"] == "default"
    assert made.sources["augment.flip"] == "layer 0"
    assert made.sources["augment.scale"] == "default"


def test_parameters_of_a_slot_add_up():
    slot = composed({"transformer": {"name": "var", "depth": 4}}, {"transformer": {"width": 96}})
    assert (slot.config.transformer.params["depth"], slot.config.transformer.params["width"]) == (4, 96)


def test_swapping_a_component_drops_the_parameters_of_the_old_one():
    made = composed({"sampler": {"top_k": 5}}, {"sampler": "greedy"}, schema=SamplingConfig)
    assert made.config.sampler == Slot(name="greedy")
    assert not [path for path in made.sources if path.startswith("sampler.") and path != "sampler.name"]


def test_naming_the_same_component_again_keeps_its_parameters():
    for first in ({"name": "categorical", "top_k": 5}, {"top_k": 5}):  # the default goes without saying
        made = composed({"sampler": first}, {"sampler": "categorical"}, schema=SamplingConfig)
        assert made.config.sampler.params["top_k"] == 5
        assert made.sources["sampler.top_k"] == "layer 0"


def test_a_slot_that_is_swapped_back_has_the_defaults_again():
    made = composed(
        {"sampler": {"name": "categorical", "top_k": 5}},
        {"sampler": "greedy"},
        {"sampler": "categorical"},
        schema=SamplingConfig,
    )
    assert made.config.sampler.params["top_k"] == 900


@pytest.mark.parametrize("order", [1, -1])
def test_a_name_and_its_parameters_meet_in_either_order(order):
    settings = [("schedule", "linear"), ("schedule.steps", 3)][::order]
    made = compose(Config, [nest(dict(settings), "call")], plugins())
    assert made.config.schedule == Slot(name="linear", params={"steps": 3})


def test_plain_goes_round():
    config = composed(
        {
            "schedule": {"name": "custom", "grids": [1, [2, 3]]},
            "train": {"tokenizer": {"betas": [0.5, 0.9]}, "transformer": {"attention": "sdpa"}},
        }
    ).config
    tree = plain(config)
    assert tree["schedule"] == {"name": "custom", "grids": [1, [2, 3]], "reference": None}
    assert tree["train"]["tokenizer"]["betas"] == [0.5, 0.9]
    assert composed(tree).config == config


def test_numbers_keep_their_types():
    config = composed({"train": {"tokenizer": {"lr": 1, "clip": "2.5"}}, "classes": [1, 2]}).config
    assert (config.train.tokenizer.lr, type(config.train.tokenizer.lr)) == (1.0, float)
    assert config.train.tokenizer.clip == 2.5
    assert config.classes == ["1", "2"]


def test_all_problems_are_told_at_once_with_path_and_source():
    found = problems(
        {
            "smapling": {},
            "quantizer": 3,
            "augment": 5,
            "transformer": {"depht": 3},
            "sampling": {"guidance": "liner", "random": "shred"},
        },
        {"train": {"tokenizer": {"steps": "many", "batch": 0, "betas": [0.5]}}, "classes": 3},
    )
    expected = {
        "layer 0: unknown key 'smapling'; did you mean sampling?",
        "layer 0: quantizer=3 must be a component's name",
        "layer 0: augment holds keys and cannot be 5. Set one of: augment.scale",
        "layer 0: transformer.depht of transformer 'var': unknown parameter 'depht'; did you mean 'depth'?",
        "layer 0: sampling.guidance: unknown guidance 'liner'; did you mean 'linear'? Valid: constant,",
        "layer 0: sampling.random='shred'; did you mean 'shared'?",
        "layer 1: train.tokenizer.steps='many' must be a whole number",
        "layer 1: train.tokenizer.batch=0 is out of range; it must be at least 1",
        "layer 1: train.tokenizer.betas: ",
        "layer 1: classes=3 must be a list of texts",
    }
    assert len(found) == len(expected)
    for start in expected:
        assert any(problem.startswith(start) for problem in found), start


def test_several_problems_are_counted_and_one_stands_alone():
    with pytest.raises(ConfigErrors, match=r"^2 problems:\n  layer 0: .*\n  layer 0: "):
        composed({"a": 1, "b": 2})
    with pytest.raises(ConfigErrors, match=r"^layer 0: unknown key 'steps'"):
        composed({"steps": 3})


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        (
            {"steps": 3},
            "; did you mean train.tokenizer.steps or train.transformer.steps or train.generator.steps?",
        ),
        (
            {"train": {"lr": 3}},
            "; did you mean train.tokenizer.lr or train.transformer.lr or train.generator.lr?",
        ),
        ({"train": {"tokenizer": {"lrr": 3}}}, "; did you mean train.tokenizer.lr?"),
        ({"train": {"tokeniser": {}}}, "; did you mean train.tokenizer?"),
        ({"train": {"nothing": 3}}, ". Valid: train.tokenizer, train.transformer"),
        ({"sampling": {"quality": 3}}, ". Valid: sampling.guidance, sampling.sampler,"),
    ],
)
def test_an_unknown_key_gets_the_nearest_one(values, hint):
    (problem,) = problems(values)
    assert hint in problem


def test_wrong_parameters_of_a_component_that_is_replaced_are_no_problem():
    wrong = {"sampler": {"name": "categorical", "nonsense": 1}}
    made = composed(wrong, {"sampler": "greedy"}, schema=SamplingConfig)
    assert made.config.sampler.name == "greedy"


def test_names_that_are_no_components_take_no_parameters():
    (problem,) = problems({"sampling": {"attention": {"name": "auto", "x": 1}}})
    assert problem == "layer 0: sampling.attention=auto takes no parameters, {'x': 1} was given"
    (problem,) = problems({"sampling": {"attention": "fast"}})
    assert problem.endswith("Valid: eager, flash, flex, matmul, sdpa, xformers or auto")


def test_what_plugins_find_wrong_with_the_whole_is_told(install):
    install(
        "acme_check",
        """
        from vartk_registry import hookimpl

        @hookimpl
        def vartk_check(config, registry):
            if config["image_size"] % 2:
                yield f"image_size={config['image_size']} is odd, acme wants it even"
        """,
    )
    assert problems({"image_size": 65}) == ["image_size=65 is odd, acme wants it even"]
    composed({"image_size": 64})


def test_every_field_of_the_schema_has_help():
    def fields(schema):
        for entry in dataclasses.fields(schema):
            default = entry.default_factory() if entry.default is dataclasses.MISSING else entry.default
            if dataclasses.is_dataclass(default) and not isinstance(default, Slot):
                yield from fields(type(default))
            else:
                yield schema.__name__, entry.name, entry.metadata.get("help")

    assert not [(owner, name) for owner, name, help in fields(Config) if not help]
