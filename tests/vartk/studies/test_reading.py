"""Studies as YAML: the built-in ones fit their presets, and mistakes are told."""

import pytest
import yaml

from vartk.components import plugins
from vartk.config import Config, compose, load_layers
from vartk.engine.folder import new_model
from vartk.engine.weightless import weightless
from vartk.studies import built_in, read_study
from vartk_registry import UnknownName, VartkError


def composed(study, system):
    layers = load_layers(system.config or study.config, plugins())
    return compose(Config, [*layers, study.layer(system)], plugins()).config


@pytest.mark.parametrize("quick", [False, True], ids=["whole", "quick"])
@pytest.mark.parametrize("name", built_in())
def test_every_system_of_a_built_in_study_is_a_model(name, quick):
    study = read_study(name, quick=quick)
    for system in study.systems:
        config = composed(study, system)
        config.classes = [] if config.conditioner.params.get("count") else ["a", "b"]
        with weightless():
            assert new_model(config, plugins()).predictor is not None


def test_the_scaling_study_spans_two_orders_of_magnitude():
    for quick in (False, True):
        study = read_study("scaling", quick=quick)
        sizes = []
        for system in study.systems:
            config = composed(study, system)
            config.classes = ["a"]
            with weightless():
                transformer = new_model(config, plugins()).predictor.transformer
            sizes.append(sum(parameter.numel() for parameter in transformer.parameters()))
        assert len(sizes) >= 8
        assert sizes == sorted(sizes)
        assert sizes[-1] / sizes[0] > 50


def test_the_two_sides_of_the_speed_study_are_one_transformer():
    study = read_study("speed")
    for group in ("d16", "d30"):
        raster, var = (composed(study, system) for system in study.systems if system.group == group)
        assert raster.transformer == var.transformer
        assert raster.sampling.cache.name == var.sampling.cache.name == "full"


def test_settings_of_the_command_line_are_for_every_system():
    study = read_study("scaling", ["train.transformer.steps=7"])
    assert {composed(study, system).train.transformer.steps for system in study.systems} == {7}


def written(path, **changes):
    values = {
        "title": "A study",
        "config": "demo",
        "systems": [{"name": "a"}, {"name": "b", "settings": ["transformer.depth=2"]}],
        "measures": ["validation"],
    }
    path.write_text(yaml.safe_dump({**values, **changes}))
    return str(path)


def test_a_file_is_a_study(tmp_path):
    study = read_study(written(tmp_path / "mine.yaml", quick={"samples": 5}), quick=True)
    assert (study.name, study.samples) == ("mine", 5)
    assert study.words(study.systems[1]) == ["transformer.depth=2"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"mesures": []}, UnknownName, "key of a study in mine.yaml 'mesures'.*measures"),
        ({"measures": ["sped"]}, UnknownName, "measure 'sped'.*speed"),
        ({"systems": []}, VartkError, "has no systems"),
        ({"systems": [{"name": "a"}, {"name": "a"}]}, VartkError, "several systems are called a"),
        ({"systems": [{"name": "a", "weights": "c"}]}, UnknownName, "the weights of a.*'c'"),
        ({"systems": [{"settings": []}]}, VartkError, "is no study: .*name"),
    ],
)
def test_mistakes_are_told(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        read_study(written(tmp_path / "mine.yaml", **changes))


def test_a_name_that_is_no_study():
    with pytest.raises(UnknownName, match=r"study 'scalling'.*scaling"):
        read_study("scalling")


def test_a_study_without_a_quick_form(tmp_path):
    with pytest.raises(VartkError, match="has no key 'quick'"):
        read_study(written(tmp_path / "mine.yaml"), quick=True)
