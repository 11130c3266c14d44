"""`preset` among settings of sampling: what it lies over and under, in every place that takes settings."""

import json

import pytest
import tiny

import vartk as package
from vartk.compare import parse_ways
from vartk.components import plugins
from vartk.config import Layer
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model():
    return tiny.tiny_model()


@pytest.fixture
def write(tmp_path):
    def file(name, text):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return file


def test_a_preset_lies_over_the_models_settings(model):
    made = model.sampling(preset="fast")
    assert made.precision == "bf16"
    assert [part["name"] for part in made.cache.params["parts"]] == ["ams_kv", "fastvar"]
    assert made.guidance.params == {"scale": 1.5, "stop": 0.7, "layer": 0}
    assert (made.sampler, made.batch) == (model.config.sampling.sampler, 4)


@pytest.mark.parametrize("first", [True, False])
def test_settings_beside_a_preset_lie_over_it_wherever_they_stand(model, first):
    beside = {"guidance": 3, "cache": "sink", "guidance.stop": 0.5}
    given = {"preset": "fast", **beside} if first else {**beside, "preset": "fast"}
    made = model.sampling(**given)
    assert made.guidance.params == {"scale": 3.0, "stop": 0.5, "layer": 0}
    assert (made.cache.name, made.precision) == ("sink", "bf16")


def test_a_file_that_extends_a_preset(model, write):
    path = write("mild.yaml", "extends: fast\nsampling: {guidance: {stop: 0.9}, sampler: {top_k: 5}}")
    made = model.sampling(preset=path)
    assert (made.guidance.params["stop"], made.sampler.params["top_k"]) == (0.9, 5)
    assert (made.precision, made.cache.name) == ("bf16", "chain")
    assert model.sampling(preset=write("same.yaml", "extends: fast")) == model.sampling(preset="fast")


def test_calibrated_parameters_hold_in_a_presets_cache():
    own = tiny.tiny_model(**{"calibration.ams_kv.demanding": [1]})
    assert own.sampling(preset="fast").cache.params["parts"][0]["demanding"] == [1]


def test_a_preset_for_all_samples_of_a_model(model_folder):
    loaded = package.load(model_folder, preset="fast", precision="fp32")
    made = loaded.sample([0]).sampling
    assert (made.precision, made.guidance.params["stop"]) == ("fp32", 0.7)
    again = loaded.sample([0], preset="fast", cache="full").sampling
    assert (again.precision, again.cache.name) == ("bf16", "full")


def test_on_the_command_line(vartk, model_folder, tmp_path):
    ran = vartk("sample", model_folder, "preset=fast", "guidance.scale=2", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    made = json.loads((tmp_path / "out" / "samples.json").read_text())["sampling"]
    assert made["guidance"] == {"name": "linear", "scale": 2.0, "stop": 0.7, "layer": 0}
    assert made["precision"] == "bf16"


def test_in_a_comparison_it_is_of_all_ways_or_of_one(model):
    shared = Layer("command line", {"preset": "fast", "precision": "fp32"})
    first, slow = parse_ways(model, shared, "sink", ["slow: guidance.stop=1"])
    assert (first.sampling.cache.name, first.sampling.precision) == ("sink", "fp32")
    assert first.sampling.guidance.params["stop"] == 0.7
    assert slow.sampling.guidance.params["stop"] == 1
    full, fast = parse_ways(model, Layer("command line", {}), None, ["fast: guidance.scale=3 preset=fast"])
    assert (full.sampling.cache.name, full.sampling.precision) == ("full", "auto")
    assert (fast.sampling.cache.name, fast.sampling.precision) == ("chain", "bf16")
    assert fast.sampling.guidance.params == {"scale": 3.0, "stop": 0.7, "layer": 0}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image_size: 16\nsampling: {batch: 1}", "it sets image_size, where the key sampling should be all"),
        ("extends: demo", "it sets augment, dataset, image_size"),
        ("", "it sets nothing"),
        ("sampling: fast", "sampling holds keys and cannot be 'fast'"),
        ("sampling: {precison: bf16}", "unknown key 'precison'; did you mean precision?"),
        ("sampling: {preset: fast}", "unknown key 'preset'"),
    ],
)
def test_a_file_that_is_no_preset_of_sampling(model, write, text, problem):
    with pytest.raises(VartkError) as caught:
        model.sampling(preset=write("mine.yaml", text))
    assert problem in str(caught.value)
    assert "mine.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("fsat", "did you mean 'fast'?"),
        ("var-d16", "preset=var-d16 is no preset of sampling"),
        ("var-d16", "Presets of sampling: fast"),
        (None, "no configuration 'None'"),
    ],
)
def test_a_name_of_no_preset_of_sampling(model, name, problem):
    with pytest.raises(VartkError) as caught:
        model.sampling(preset=name)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [("train", "tokenizer", "fast", "--out", "run"), ("config", "show", "fast"), ("bench", "flops", "fast")],
    ids=lambda words: words[0],
)
def test_it_says_nothing_of_a_model_to_train(refused, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    message = refused(*words)
    assert "the preset fast says how images are sampled" in message
    assert "preset=fast" in message
    assert not list(tmp_path.iterdir())


def test_a_configuration_extends_it_beside_a_model(vartk, write):
    ran = vartk("config", "show", write("mine.yaml", "extends: [demo, fast]"), "--json")
    made = json.loads(ran.out)
    assert made["config"]["sampling"]["precision"] == "bf16"
    assert made["sources"]["sampling.precision"] == "preset fast"


def test_the_list_says_what_it_is_for(vartk):
    rows = json.loads(vartk("list", "preset", "--json").out)["components"]
    (row,) = (row for row in rows if row["name"] == "preset/fast")
    assert row["summary"].startswith("a sampling preset (preset=fast)")
    assert plugins().preset("fast").model is None
