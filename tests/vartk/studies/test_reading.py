"""Studies as YAML: the built-in ones fit their presets, and mistakes are told."""

import pytest
import yaml

from vartk.bench.flops.count import count_forward
from vartk.bench.model import class_names
from vartk.compare.systems.system import parameters
from vartk.components import plugins
from vartk.config import NO_GENERATOR, Config, compose, load_layers, read_yaml
from vartk.engine.folder import new_model
from vartk.engine.generators.folder import weightless_generator
from vartk.engine.weightless import weightless
from vartk.studies import built_in, read_study
from vartk.studies.study import CONFIGS, FORMS, TRAINED
from vartk.studies.training import second_stage
from vartk_registry import UnknownName, VartkError


def composed(study, system):
    layers = load_layers(system.config or study.config, plugins())
    return compose(Config, [*layers, study.layer(system)], plugins()).config


def with_classes(config):
    """Return a configuration with the dataset's classes, or the conditioner's number of them."""
    count = config.conditioner.params.get("count")
    config.classes = [str(i) for i in range(count)] if count else class_names(config)
    return config


def weightless_model(config):
    """Build what draws, without weights."""
    with_classes(config)
    if config.generator.name != NO_GENERATOR:
        return weightless_generator(config, plugins())
    with weightless():
        return new_model(config, plugins())


def shape(config):
    """Return what decides the modules of a configuration."""
    model = (config.tokenizer, config.quantizer, config.schedule, config.transformer, config.generator)
    return repr((config.image_size, *model))


def forms():
    """Return each built-in study with each form that it has."""
    for name in built_in():
        yield from (
            (name, form) for form in ("", *FORMS) if not form or form in read_yaml(CONFIGS / f"{name}.yaml")
        )


@pytest.mark.parametrize(("name", "form"), list(forms()))
def test_every_system_of_a_built_in_study_is_a_model(name, form):
    study = read_study(name, form=form)
    for config in {shape(config): config for config in (composed(study, s) for s in study.systems)}.values():
        assert weightless_model(config).takes == "label"


@pytest.mark.parametrize("form", ["", *FORMS], ids=["whole", *FORMS])
def test_the_scaling_study_spans_two_orders_of_magnitude(form):
    study = read_study("scaling", form=form)
    sizes = [parameters(weightless_model(composed(study, system))) for system in study.systems]
    assert len(sizes) >= 8
    assert sizes == sorted(sizes)
    assert sizes[-1] / sizes[0] > 80


def test_the_two_sides_of_the_speed_study_are_one_transformer():
    study = read_study("speed", form="large")
    for group in ("d16", "d30"):
        raster, var, *dit = (composed(study, system) for system in study.systems if system.group == group)
        assert raster.transformer == var.transformer
        assert raster.sampling.cache.name == var.sampling.cache.name == "full"
        size = parameters(weightless_model(var))
        for config in dit:
            assert parameters(weightless_model(config)) == pytest.approx(size, rel=0.15)
        assert [config.generator.params["steps"] for config in dit] == [250, 50]


TWO_HOURS_ON_TWO_CORES = 2 * 3600 * 35e9
"""Operations: two cores of 2026 reach 35 GFLOP/s and more with the small layers of the preset demo."""


@pytest.mark.parametrize("name", [name for name in built_in() if name != "tokenizers"])  # that is for a GPU
def test_the_whole_form_trains_and_samples_in_two_hours_on_two_cores(name):
    study = read_study(name)
    total, tokenizers, forwards = 0, {}, {}
    for system in study.systems:
        config = composed(study, system)
        stage, generator = second_stage(config), config.generator.name != NO_GENERATOR
        if shape(config) not in forwards:
            kind = "generator" if generator else "transformer"
            forwards[shape(config)] = count_forward(with_classes(config), kind)
        forward, sampled = forwards[shape(config)], 0
        if set(study.measures) & set(TRAINED):
            trains = not system.weights and not system.model
            total += trains * 3 * forward * stage.steps * stage.batch
            first, key = config.train.tokenizer, repr((config.tokenizer, config.schedule))
            if trains and key not in tokenizers:
                tokenizers[key] = 3 * count_forward(config, "tokenizer") * first.steps * first.batch
        if "distances" in study.measures:
            sampled += study.samples
        if "zero-shot" in study.measures:
            sampled += 20 * study.samples  # all ways of all tasks
        if "speed" in study.measures:
            sampled += (study.repeats + 1) * sum(system.batches or study.batches)
        total += 2 * sampled * forward * config.generator.params.get("steps", 1)
    assert total + sum(tokenizers.values()) < TWO_HOURS_ON_TWO_CORES


@pytest.mark.parametrize("form", ["", "quick"], ids=["whole", "quick"])
def test_the_tokenizers_have_codebooks_of_one_size_and_see_the_same_images(form):
    study = read_study("tokenizers", form=form)
    configs = [composed(study, system) for system in study.systems]
    models = []
    for config in configs:
        with weightless():
            models.append(new_model(config, plugins(), predictor=False))
    assert {model.tokenizer.space.classes for model in models} == {1024}
    for stages in ([c.train.tokenizer for c in configs], [c.train.transformer for c in configs]):
        assert [stage.seed for stage in stages] == [0, 1] + [0] * (len(configs) - 2)
        assert len({(stage.batch, stage.steps) for stage in stages}) == 1


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
    path.write_text(yaml.safe_dump({**values, **changes}, sort_keys=False))
    return str(path)


def test_a_file_is_a_study(tmp_path):
    study = read_study(written(tmp_path / "mine.yaml", quick={"samples": 5}), form="quick")
    assert (study.name, study.samples) == ("mine", 5)
    assert study.words(study.systems[1]) == ["transformer.depth=2"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"mesures": []}, UnknownName, "key of a study in mine.yaml 'mesures'.*measures"),
        (
            {"systems": [{"name": "a", "model": "emoji64"}]},
            VartkError,
            "validation needs trainings, and a has",
        ),
        (
            {"systems": [{"name": "a", "model": "emoji64"}, {"name": "b", "weights": "a"}], "measures": []},
            VartkError,
            "one of them is a finished model",
        ),
        ({"systems": [{"name": "a", "vary": {"data.share": 0.5}}]}, VartkError, "vary of a is .*give lists"),
        ({"measures": ["data", "validation"]}, VartkError, "data shows validation and distances"),
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


def test_a_system_that_varies_settings_is_several(tmp_path):
    vary = {"transformer.depth": [2, 4], "data.share": [0.5, 1]}
    systems = [{"name": "a", "settings": ["transformer.width=48"], "vary": vary}, {"name": "b"}]
    study = read_study(written(tmp_path / "mine.yaml", systems=systems))
    names = ["depth=2, share=0.5", "depth=2, share=1", "depth=4, share=0.5", "depth=4, share=1"]
    assert [system.name for system in study.systems] == [*(f"a, {name}" for name in names), "b"]
    config = composed(study, study.systems[2])
    assert (config.transformer.params["depth"], config.transformer.params["width"]) == (4, 48)
    assert config.data.share == 0.5


def test_a_name_that_is_no_study():
    with pytest.raises(UnknownName, match=r"study 'scalling'.*scaling"):
        read_study("scalling")


def test_a_study_without_a_large_form(tmp_path):
    with pytest.raises(VartkError, match=r"has no key 'large', .*leave --large out"):
        read_study(written(tmp_path / "mine.yaml"), form="large")
