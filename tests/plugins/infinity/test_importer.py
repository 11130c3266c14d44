"""The importer `infinity`: the original's files, and files of the published names and shapes."""

import json
import re
from pathlib import Path

import encoders
import golden
import infinities
import pytest
import torch
from tiny_transformer import attend

import vartk
from vartk.bench.model import model_config
from vartk.components import plugins
from vartk.config import Layer, ModelConfig, compose
from vartk.engine.folder import new_model
from vartk.engine.weightless import weightless
from vartk.hub import convert
from vartk_plugins.original_var.infinity.keys import original_name
from vartk_registry import VartkError
from vartk_registry.testing import check_importer

pytest.importorskip("transformers")
SIZES = {"infinity_tiny": [256, 256], "infinity_tiny_patch": [352, 176]}


def files(folder, name):
    """Write a golden model as the original's two files."""
    paths = folder / "vae.pth", folder / "infinity.pth"
    torch.save({"vae": golden.weights(name, "vae")}, paths[0])
    torch.save(golden.weights(name, "infinity"), paths[1])
    return paths


def importer(**settings):
    return plugins().registry.build("importer", "infinity", settings)


@pytest.mark.parametrize("name", infinities.NAMES)
def test_a_converted_model_is_the_original(name, tmp_path):
    original = infinities.Original(name)
    encoder = encoders.write(tmp_path / "t5", "t5", original.facts["infinity"]["text_channels"])
    settings = {"image_size": SIZES[name], "text_encoder": str(encoder)}
    notes = convert(*files(tmp_path, name), tmp_path / "model", importer="infinity", settings=settings)
    assert notes == (
        "vae.pth: the weights under 'vae' are read",
        "infinity.pth: names are read without 'module'",
    )
    model = vartk.load(tmp_path / "model", device="cpu")
    assert model.schedule == original.schedule
    conditioner = model.predictor.conditioner
    assert torch.equal(conditioner.null_tokens, golden.weights(name, "infinity")["cfg_uncond"])
    assert isinstance(conditioner.proj, torch.nn.Identity)
    codes = original.codes(original.arrays["bits"])[:1].long()
    found = model.logits(["a red apple"], list(codes.split(model.schedule.sizes, dim=1)))
    inputs = original.codes(original.arrays["transformer_input"], first=1)[:1]
    with torch.no_grad():
        condition = conditioner(model.parse(["a red apple"]))
        expected = original.transformer()(inputs, condition, original.schedule, attend)
    golden.assert_close(found, expected, 1e-5)


def test_a_tokenizer_alone(tmp_path):
    vae, _ = files(tmp_path, "infinity_tiny")
    convert(vae, None, tmp_path / "model", importer="infinity", settings={"image_size": [256, 256]})
    model = vartk.load(tmp_path / "model", device="cpu")
    assert model.schedule == infinities.Original("infinity_tiny").schedule
    assert model.config.quantizer.name == "bsq"


def test_it_keeps_the_contract(tmp_path):
    check_importer(importer(text_encoder="unread"), *files(tmp_path, "infinity_tiny"))


def published(chunks, *, depth, width, heads, bits, patch):
    """The names and shapes of the original's transformer of a size, from those of the golden one."""
    tiny = {"C": 96, "3C": 288, "2C": 192, "6C": 576, "F": 512, "T": 256, "H": 3, "P": 2, "D": 48, "L": 12}
    large = {
        "C": width,
        "3C": 3 * width,
        "2C": 2 * width,
        "6C": 6 * width,
        "F": 4 * width,
        "T": 2048,
        "H": heads,
        "P": 16,
        "D": width // 16,
        "L": 512,
        "d": bits * patch**2,
        "2d": 2 * bits * patch**2,
    }
    side = {tiny[key]: large[key] for key in tiny} | {4: large["d"], 8: large["2d"], 15: 15, 1: 1, 6: 6}
    shapes = {}
    for name, shape, _, _ in golden.facts("infinity_tiny")["parameters"]:
        part, _, key = name.partition(".")
        if part != "infinity" or re.match(r"block_chunks\.[12]\.", key):
            continue
        enlarged = [side[n] for n in shape]
        if key.endswith("ada_gss"):
            enlarged = [1, 1, 6, width]
        for layer in range(depth) if key.startswith("block_chunks") else (0,):
            size = depth // chunks if chunks else 0
            place = f"block_chunks.{layer // size}.module.{layer % size}." if size else f"blocks.{layer}."
            shapes[key.replace("block_chunks.0.module.0.", place)] = enlarged
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}


@pytest.mark.parametrize(
    ("preset", "chunks", "size"),
    [
        ("infinity-125m", 4, {"depth": 12, "width": 768, "heads": 8, "bits": 16, "patch": 1}),
        ("infinity-2b", 8, {"depth": 32, "width": 2048, "heads": 16, "bits": 32, "patch": 1}),
        ("infinity-8b", None, {"depth": 40, "width": 3584, "heads": 28, "bits": 14, "patch": 2}),
    ],
)
def test_nothing_is_missing_and_nothing_left_over_in_the_published_files(preset, chunks, size, monkeypatch):
    with weightless():
        model = new_model(model_config(preset), plugins())
    ours = [dict(module.state_dict()) for module in model.modules()]
    vae = {original_name(name): tensor for name, tensor in ours[0].items()}
    masks = {f"{part}.lfq.mask": torch.empty(size["bits"]) for part in ("quantizer", "quantize")}
    contents = {"vae": {"vae": vae | masks}, "infinity": published(chunks, **size)}
    monkeypatch.setattr("vartk_plugins.original_var.state.read_file", lambda path: contents[path.name])
    imported = importer()(Path("vae"), Path("infinity"))
    for read, own in zip((imported.tokenizer, imported.transformer), ours, strict=True):
        assert {name: tensor.shape for name, tensor in read.items()} == {
            name: tensor.shape for name, tensor in own.items()
        }
    config = compose(ModelConfig, [Layer("importer", imported.config)], plugins()).config
    for key in ("tokenizer", "quantizer", "schedule", "conditioner", "transformer", "sampling"):
        assert getattr(config, key) == getattr(model.config, key), key


def test_a_folder_of_shards(tmp_path):
    original = infinities.Original("infinity_tiny")
    vae, whole = files(tmp_path, original.name)
    shards = tmp_path / "infinity_weights"
    shards.mkdir()
    names = {}
    weights = golden.weights(original.name, "infinity")
    for index, key in enumerate(weights):
        names.setdefault(f"part-{index % 2}.bin", {})[key] = weights[key]
    for file, part in names.items():
        torch.save(part, shards / file)
    mapping = {key: file for file, part in names.items() for key in part}
    (shards / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": mapping}))
    read = importer(text_encoder="unread")
    expected, found = (read(vae, path).transformer for path in (whole, shards))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)
    (shards / "other.index.json").write_text("{}")
    with pytest.raises(VartkError, match="is a folder; give a file"):
        read(vae, shards)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"word_embed.weight": torch.zeros(96, 5)}, "5 bits a token, the tokenizer's codes have 4"),
        ({"what.weight": torch.zeros(1)}, "has entries that no Infinity has: what.weight"),
        ({}, "reads texts of width 256, not flan-t5-xl's 2048; give the encoder"),
    ],
)
def test_what_does_not_fit_is_named(change, message, tmp_path):
    vae, infinity = files(tmp_path, "infinity_tiny")
    torch.save(golden.weights("infinity_tiny", "infinity") | change, infinity)
    read = importer(text_encoder="unread" if change else None)
    with pytest.raises(VartkError, match=message):
        read(vae, infinity)
    with pytest.raises(VartkError, match="is not a tokenizer of Infinity"):
        read(infinity, None)
