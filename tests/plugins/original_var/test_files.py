"""The kinds of files that the original's importer reads, and those that it refuses."""

import json
import os
import zipfile
from fractions import Fraction

import golden
import originals
import pytest
import torch
from originals import read
from safetensors.torch import save_file

from vartk.hub import convert
from vartk_registry import VartkError

OURS = golden.NAMES[0]


def assert_same(imported, expected):
    assert imported.config == expected.config
    for ours, theirs in (
        (imported.tokenizer, expected.tokenizer),
        (imported.transformer, expected.transformer),
    ):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def shards(folder, state, save, suffix):
    """Write a state dict as two shards and their index, and return the index."""
    folder.mkdir()
    names = [f"model-0000{i}-of-00002.{suffix}" for i in (1, 2)]
    weight_map = {key: names[i % 2] for i, key in enumerate(state)}
    for name in names:
        save({key: tensor for key, tensor in state.items() if weight_map[key] == name}, folder / name)
    index = folder / f"model.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return index


def test_safetensors(tmp_path, files):
    for part in ("vae", "var"):
        save_file(originals.state(OURS, part), tmp_path / part)
    assert_same(read(tmp_path / "vae", tmp_path / "var"), read(*files[OURS]))


@pytest.mark.parametrize(("suffix", "save"), [("safetensors", save_file), ("bin", torch.save)])
def test_shards_with_an_index(suffix, save, tmp_path, files):
    vae, var = (shards(tmp_path / part, originals.state(OURS, part), save, suffix) for part in ("vae", "var"))
    assert_same(read(vae, var), read(*files[OURS]))


def test_shards_that_do_not_fit_their_index(tmp_path):
    index = shards(tmp_path / "vae", originals.state(OURS, "vae"), save_file, "safetensors")
    shard = index.with_name("model-00002-of-00002.safetensors")
    content = json.loads(index.read_text())
    save_file({"x": torch.ones(1)}, shard)
    with pytest.raises(VartkError, match=r"00002-of-00002\.safetensors lacks .*, which .*index\.json says"):
        read(index)
    shard.unlink()
    with pytest.raises(VartkError, match=r"needs model-00002-of-00002\.safetensors beside it"):
        read(index)
    content["weight_map"]["x"] = "../../elsewhere"
    index.write_text(json.dumps(content))
    with pytest.raises(VartkError, match=r"names the shard '\.\./\.\./elsewhere'; a shard lies beside"):
        read(index)


def test_files_of_before_pytorch_1_6_are_read(tmp_path, files):
    path = tmp_path / "old.pth"
    torch.save(originals.state(OURS, "var"), path, _use_new_zipfile_serialization=False)
    assert read(files[OURS][0], path).config == read(*files[OURS]).config


def damaged(kind, path):
    match kind:
        case "missing":
            pass
        case "a folder":
            path.mkdir()
        case "empty":
            path.touch()
        case "text":
            path.write_text("weights\n" * 9)
        case "PNG":
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
        case "safetensors":
            save_file({"pos_start": torch.zeros(1, 1, 8)}, path)
        case "another zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("folder/cat.txt", "meow")
        case "truncated":
            torch.save(originals.state(OURS, "vae"), path)
            os.truncate(path, path.stat().st_size // 2)
        case "truncated, of before 1.6":
            torch.save(originals.state(OURS, "vae"), path, _use_new_zipfile_serialization=False)
            os.truncate(path, path.stat().st_size // 2)
        case "objects":
            torch.save({"model": originals.state(OURS, "vae"), "lr": Fraction(1, 3)}, path)
        case "no mapping":
            torch.save([1, 2], path)
        case "safetensors, truncated":
            save_file(originals.state(OURS, "vae"), path)
            os.truncate(path, path.stat().st_size // 2)
        case "other JSON":
            path.write_text('{"epoch": 3}')
        case "checkpoint without it":
            torch.save({"trainer": {"var_opt": {"lr": torch.ones(1)}}}, path)
        case "other weights":
            torch.save({"conv1.weight": torch.zeros(3)}, path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "there is no file"),
        ("a folder", r"is a folder; give a file of weights in it, or its \*\.index\.json"),
        ("empty", "it is empty"),
        ("text", "is neither a PyTorch nor a safetensors file: it begins with b'we'"),
        ("PNG", "is neither a PyTorch nor a safetensors file: it begins with"),
        ("safetensors", "is not a VAR tokenizer .* it is a VAR transformer; are the two files swapped"),
        ("safetensors, truncated", "is truncated or no safetensors file"),
        ("other JSON", "is no index of shards: it has no weight_map"),
        ("another zip", "is truncated or no PyTorch file"),
        ("truncated", "is truncated or no PyTorch file"),
        ("truncated, of before 1.6", "is truncated or no PyTorch file"),
        (
            "objects",
            r"is not read, for it holds more than tensors \(fractions.Fraction\).* save its state dict",
        ),
        ("no mapping", "is not a VAR tokenizer .*: it holds a list"),
        ("checkpoint without it", "is not a VAR tokenizer .*: it holds a mapping with 'trainer'"),
        ("other weights", "is not a VAR tokenizer .*'quantize.embedding.weight': it holds .*'conv1.weight'"),
    ],
)
def test_a_file_of_another_kind(kind, message, tmp_path):
    path = tmp_path / "vae file.pth"
    damaged(kind, path)
    with pytest.raises(VartkError, match=f"vae file.pth.*{message}|{message}.*vae file.pth"):
        convert(path, None, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_code_in_a_pickle_is_never_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"quantize.embedding.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(VartkError, match=r"mkdir\), which could run any code"):
        convert(tmp_path / "evil.pth", None, tmp_path / "model")
    assert not (tmp_path / "owned").exists()
