import sys
import types

import pytest
import torch
import yaml
from tiny import full_disk, tiny_model

from vartk.components import BUILTINS, plugins
from vartk.config import model_part
from vartk.engine.folder import fingerprint, load_model, save_model
from vartk.files import load_tensors
from vartk_plugins.vq.quantizer import VectorQuantizer
from vartk_registry import ComponentSpec, VartkError, discover


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    save_model(tiny_model(), folder, "# A card\n")
    return folder


def copy_of(saved, folder):
    folder.mkdir()
    for path in saved.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_model_comes_back_as_it_was(saved):
    model, loaded = tiny_model(), load_model(saved, plugins())
    assert model_part(loaded.config) == model_part(model.config)
    assert not any(module.training for module in loaded.modules())
    out, again = (one.sample(["stripes", 0], seed=4) for one in (model, loaded))
    assert torch.equal(out.images, again.images)
    assert sorted(path.name for path in saved.iterdir()) == [
        "README.md",
        "model.yaml",
        "tokenizer.safetensors",
        "transformer.safetensors",
    ]
    assert (saved / "README.md").read_text() == "# A card\n"


def test_loading_draws_no_random_numbers(saved):
    torch.manual_seed(0)
    load_model(saved, plugins())
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(1))


def test_a_tokenizer_alone(tmp_path):
    save_model(tiny_model(predictor=False), tmp_path / "model")
    assert load_model(tmp_path / "model", plugins()).predictor is None


def test_half_precision_files_load_as_float32(tmp_path):
    model = tiny_model()
    save_model(model, tmp_path / "half", dtype=torch.float16)
    save_model(model, tmp_path / "whole")
    for name in ("tokenizer", "transformer"):
        half, whole = (
            load_tensors(tmp_path / folder / f"{name}.safetensors") for folder in ("half", "whole")
        )
        assert all(torch.equal(half[key], tensor.half()) for key, tensor in whole.items())
    modules = load_model(tmp_path / "half", plugins()).modules()
    weights = [tensor for module in modules for tensor in module.state_dict().values()]
    assert all(tensor.dtype == torch.float32 for tensor in weights)
    assert all(torch.equal(tensor, tensor.half().float()) for tensor in weights)


def test_existing_folders_are_refused(saved):
    with pytest.raises(VartkError, match="exists and is not overwritten"):
        save_model(tiny_model(), saved)


def test_a_full_disk_leaves_no_folder(tmp_path):
    with full_disk(50_000), pytest.raises(VartkError, match=r"tokenizer.safetensors could not be written"):
        save_model(tiny_model(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_no_model(saved, tmp_path):
    with pytest.raises(VartkError, match=r"is not a model folder: it has no model\.yaml"):
        load_model(tmp_path, plugins())
    folder = copy_of(saved, tmp_path / "copy")
    (folder / "tokenizer.safetensors").unlink()
    with pytest.raises(VartkError, match=r"tokenizer\.safetensors is missing"):
        load_model(folder, plugins())


def test_a_truncated_file_is_named(saved, tmp_path):
    folder = copy_of(saved, tmp_path / "copy")
    path = folder / "transformer.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(VartkError, match=r"transformer\.safetensors is truncated"):
        load_model(folder, plugins())


def test_weights_that_do_not_fit_the_configuration(saved, tmp_path):
    folder = copy_of(saved, tmp_path / "copy")
    config = yaml.safe_load((folder / "model.yaml").read_text())
    config["quantizer"]["classes"] = 25
    (folder / "model.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(VartkError, match=r"quantizer\.codebook\.weight as \[24, 8\], the model as \[25, 8\]"):
        load_model(folder, plugins())
    config["quantizer"]["clases"] = 25
    (folder / "model.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(VartkError, match="did you mean 'classes'"):
        load_model(folder, plugins())


def test_the_fingerprint_is_that_of_the_tokenizer_alone(saved, tmp_path):
    save_model(tiny_model(predictor=False), tmp_path / "same")
    save_model(tiny_model(1, predictor=False), tmp_path / "other")
    assert fingerprint(tmp_path / "same") != fingerprint(tmp_path / "other")
    save_model(tiny_model(), tmp_path / "again")
    assert fingerprint(tmp_path / "again") == fingerprint(saved)


class Scaled(VectorQuantizer):
    """A quantizer with a buffer that is computed and not saved."""

    def __init__(self, *, dim, **parameters):
        super().__init__(dim=dim, **parameters)
        self.register_buffer("scale", torch.linspace(1, 2, dim), persistent=False)

    def embed(self, codes):
        return super().embed(codes) * self.scale


def test_buffers_that_are_not_saved_are_computed_again(tmp_path, monkeypatch):
    module = types.ModuleType("scaled_quantizer")
    module.Scaled = Scaled
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = discover(BUILTINS)
    spec = ComponentSpec(
        kind="quantizer",
        name="scaled",
        target="scaled_quantizer:Scaled",
        config="vartk_plugins.vq.config:VQConfig",
        summary="a test",
    )
    found.registry.add([spec], "somebody")
    model = tiny_model(found=found, quantizer={"name": "scaled", "classes": 24})
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model", found)
    out, again = (one.sample([0], seed=4) for one in (model, loaded))
    assert torch.equal(out.images, again.images)
