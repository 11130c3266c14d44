"""LoRA: adapters are trained on a frozen model, saved alone, merged, and a killed run goes on exactly."""

import builtins
import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny import CLASSES, Crash, Crashing, Quiet, images_folder, tiny_composed, tiny_config, tiny_model

import vartk
from vartk.config import LoraConfig
from vartk.engine.adapters import adapt, merged, scale_of, write_adapters
from vartk.engine.folder import save_model
from vartk.engine.recipes import tokenize_dataset, train_transformer
from vartk.engine.training import Run
from vartk.files import load_tensors
from vartk.hub import find_model
from vartk_registry import VartkError

pytest.importorskip("peft")
pytestmark = pytest.mark.usefixtures("one_thread")

KEYS = {
    "train.transformer.lora.rank": 2,
    "train.transformer.lora.alpha": 8,
    "train.transformer.steps": 6,
    "train.transformer.save_every": 2,
    "train.transformer.ema": 0.5,
    "train.transformer.lr": 0.03,
    "train.transformer.label_drop": 0.5,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The folder of a trained model, as it were."""
    folder = tmp_path_factory.mktemp("base") / "model"
    save_model(tiny_model(), folder)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def tokens(images, base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "tokens"
    tokenize_dataset(tiny_config(images), base, folder, device="cpu", progress=lambda *args: None)
    return folder


@pytest.fixture(scope="module")
def trained(images, base, tokens, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    train(images, base, tokens, out)
    return out


def train(images, base, tokens, out, reporter=None, resume=False, **settings):
    composed = tiny_composed(images, **{**KEYS, "train.transformer.start_from": str(base), **settings})
    return train_transformer(
        composed,
        base,
        tokens,
        out,
        reporter=reporter or Quiet(),
        device="cpu",
        resume=resume,
        start=base,
    )


def test_adapted_and_merged_weights_compute_the_same(base):
    """The oracle is peft's own forward pass."""
    model, plain = vartk.load(base, device="cpu"), vartk.load(base, device="cpu")
    lora, generator = LoraConfig(rank=3, alpha=6), torch.Generator().manual_seed(0)
    adapt(model.predictor, lora, set(model.predictor.state_dict()))
    learned = [weight for weight in model.predictor.parameters() if weight.requires_grad]
    with torch.no_grad():
        for weight in learned:
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    assert len(learned) == 2 * 2 * 5  # A and B of five matrices in two blocks
    codes = plain.sample([0, 1], seed=1).codes
    before = plain.logits([0, 1], codes)
    plain.predictor.load_state_dict(merged(model.predictor.state_dict(), scale_of(lora)))
    adapted = model.logits([0, 1], codes)
    assert (adapted - before).abs().max() > 0.1
    torch.testing.assert_close(plain.logits([0, 1], codes), adapted)


def test_the_model_folder_is_a_model_and_the_adapters_are_small(base, trained):
    model, start = vartk.load(trained), vartk.load(base)
    assert model.sample([0], seed=1).images.shape == (1, 3, 16, 16)
    now, then = (one.predictor.state_dict() for one in (model, start))
    changed = {name for name in then if not torch.equal(now[name], then[name])}
    assert changed == {
        name for name in then if ".blocks." in f".{name}" and then[name].ndim == 2 and "weight" in name
    }
    alone = vartk.load(trained / "model" / "adapters")
    for name, weight in alone.predictor.state_dict().items():
        torch.testing.assert_close(weight, now[name], rtol=0, atol=1e-6)
    size = {
        path.parent.name: path.stat().st_size
        for path in (trained / "model").rglob("*.safetensors")
        if path.name != "tokenizer.safetensors"
    }
    assert size["adapters"] < size["model"] / 2


def test_a_checkpoint_holds_what_is_trained_alone(trained):
    metadata = (trained / "checkpoints" / "step-00000006" / ".metadata").read_bytes()
    assert b"lora_A.default.weight" in metadata
    assert b"base_layer" not in metadata
    assert b"head.weight" not in metadata


def test_a_killed_run_goes_on_exactly(images, base, tokens, trained, tmp_path):
    with pytest.raises(Crash):
        train(images, base, tokens, tmp_path / "run", Crashing(5))
    train(images, base, tokens, tmp_path / "run", resume=True)
    assert Run(tmp_path / "run").metrics() == Run(trained).metrics()
    ours, theirs = (
        load_tensors(run / "model" / "transformer.safetensors") for run in (tmp_path / "run", trained)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_adapters_of_a_model_that_changed_are_refused(trained, tmp_path):
    folder = tmp_path / "adapters"
    folder.mkdir()
    for path in (trained / "model" / "adapters").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    info = folder / "adapters.json"
    info.write_text(info.read_text().replace('"transformer": "', '"transformer": "0'))
    with pytest.raises(VartkError, match=r"are for the model .*, which is not there or has changed"):
        vartk.load(folder)


def test_adapters_are_found_with_their_model_moved_or_alone(base, trained, tmp_path):
    shutil.copytree(trained / "model" / "adapters", tmp_path / "alone")
    vartk.load(tmp_path / "alone")
    for folder in (base.parent, trained.parent):
        shutil.copytree(folder, tmp_path / "moved" / folder.name)
    adapters = tmp_path / "moved" / trained.relative_to(trained.parents[1]) / "model" / "adapters"
    info = json.loads((adapters / "adapters.json").read_text())
    way, place = info["base"]
    assert (Path(place), Path(way).is_absolute()) == (base, False)
    (adapters / "adapters.json").write_text(json.dumps({**info, "base": [way, "/nowhere"]}))
    vartk.load(adapters)
    shutil.rmtree(tmp_path / "moved" / base.parent.name)
    with pytest.raises(VartkError, match="are for the model /nowhere, which is not there or has changed"):
        vartk.load(adapters)


def test_the_name_of_a_preset_stays_a_name(tmp_path):
    start = find_model("emoji64")
    write_adapters(tmp_path, tmp_path, "emoji64", start, 1.0, {})
    shutil.copy(start / "model.yaml", tmp_path)
    assert json.loads((tmp_path / "adapters.json").read_text())["base"] == ["emoji64"]
    head = vartk.load(tmp_path, device="cpu").predictor.transformer.head.weight
    assert torch.equal(head, vartk.load("emoji64", device="cpu").predictor.transformer.head.weight)


def test_new_classes_are_trained_with_the_adapters():
    model = tiny_model(classes=[*CLASSES, "dots"])
    adapt(
        model.predictor,
        LoraConfig(rank=1),
        [n for n in model.predictor.state_dict() if "conditioner" not in n],
    )
    learned = {name for name, weight in model.predictor.named_parameters() if weight.requires_grad}
    assert {name for name in learned if "lora" not in name} == {"conditioner.embedding.weight"}


def test_layers_can_be_chosen_and_mistakes_are_named(base, monkeypatch):
    model = vartk.load(base, device="cpu")
    names = list(model.predictor.state_dict())
    with pytest.raises(
        VartkError, match=r"names no layer of a block; those .* are attention\.proj, attention\.qkv, "
    ):
        adapt(model.predictor, LoraConfig(rank=1, modules=["nose"]), names)
    with pytest.raises(VartkError, match="adapts a trained model; name it, as in"):
        adapt(model.predictor, LoraConfig(rank=1), [])
    adapt(model.predictor, LoraConfig(rank=1, modules=["attention.qkv"]), names)
    learned = [name for name, weight in model.predictor.named_parameters() if weight.requires_grad]
    assert len(learned) == 4
    importing = builtins.__import__

    def without_peft(name, *rest):
        if name == "peft":
            raise ImportError(name)
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_peft)
    with pytest.raises(VartkError, match=r"needs peft; type `pip install 'vartk\[peft\]'`"):
        adapt(model.predictor, LoraConfig(rank=1), names)
