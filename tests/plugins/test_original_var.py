import argparse
import json
import os
import resource
import zipfile

import golden
import originals
import pytest
import torch
from safetensors.torch import save_file

import vartk
from vartk.cli.main import main
from vartk.config import read_yaml
from vartk.hub import convert
from vartk_registry import ParamErrors, VartkError, discover

REGISTRY = discover(["vartk_plugins.original_var"]).registry
OURS, SHARED = golden.NAMES


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The two files of each golden model."""
    return {name: originals.files(tmp_path_factory.mktemp(name), name) for name in golden.NAMES}


@pytest.fixture
def save(tmp_path):
    """Write a golden state dict, changed, and return the file."""

    def save(part, *, name=OURS, drop=(), **entries):
        state = originals.state(name, part)
        for key in drop:
            del state[key]
        path = tmp_path / f"{part}_changed.pth"
        torch.save(state | entries, path)
        return path

    return save


def read(tokenizer, transformer=None, **settings):
    return REGISTRY.build("importer", "var", settings)(tokenizer, transformer)


# what is inferred


def test_names_and_shapes_tell_the_configuration(files):
    config = read(*files[OURS]).config
    assert config == {
        "image_size": 96,
        "schedule": {"name": "custom", "grids": [1, 2, 3, 4, 5, 6]},
        "tokenizer": {
            "name": "var_vqvae",
            "channels": 32,
            "multipliers": [1, 1, 2, 2, 4],
            "blocks": 2,
            "latent": 8,
            "attention": True,
            "phi": 4,
        },
        "quantizer": {"name": "vq", "classes": 64},
        "conditioner": {"name": "class", "count": 10},
        "transformer": {
            "name": "var",
            "depth": 3,
            "width": 96,
            "heads": 3,
            "mlp_ratio": 4.0,
            "shared_adaln": False,
            "l2_norm": True,
        },
    }


def test_the_other_variants_are_told_too(files):
    config = read(*files[SHARED], heads=2, cosine=True).config
    assert config["image_size"] == 64
    assert config["schedule"]["grids"] == [1, 2, 4]
    assert config["tokenizer"]["phi"] == 1
    assert config["quantizer"] == {"name": "vq-cosine", "classes": 96}
    assert config["conditioner"]["count"] == 5
    expected = {"depth": 2, "width": 64, "heads": 2, "mlp_ratio": 2.0, "shared_adaln": True, "l2_norm": False}
    assert config["transformer"] == {"name": "var", **expected}


def test_a_phi_of_each_scale_is_told(save):
    """The original's third way of sharing: quant_resi.{0..K-1}."""
    own = {f"quantize.quant_resi.{k}.weight": torch.full((8, 8, 3, 3), float(k)) for k in range(6)}
    own |= {f"quantize.quant_resi.{k}.bias": torch.zeros(8) for k in range(6)}
    shared = [key for key in originals.state(OURS, "vae") if "qresi" in key]
    imported = read(save("vae", drop=shared, **own), schedule=[1, 2, 3, 4, 5, 6])
    assert imported.config["tokenizer"]["phi"] == 6
    assert imported.tokenizer["phi.5.weight"].unique() == 5


def test_without_the_buffer_a_published_number_of_tokens_tells_the_schedule(save, files):
    position = {"pos_1LC": torch.zeros(1, 680, 96), "lvl_embed.weight": torch.zeros(10, 96)}
    var = save("var", drop=["lvl_1L", "attn_bias_for_masking"], **position)
    config = read(files[OURS][0], var).config
    assert config["schedule"]["grids"] == [1, 2, 3, 4, 5, 6, 8, 10, 13, 16]
    assert config["image_size"] == 256


# whole conversions


@pytest.mark.parametrize("name", golden.NAMES)
def test_a_converted_model_holds_the_weights(files, name, tmp_path):
    convert(*files[name], tmp_path / "new" / "model", settings=originals.SETTINGS[name])
    model = vartk.load(tmp_path / "new" / "model")
    count = sum(p.numel() for p in (*model.tokenizer.parameters(), *model.predictor.parameters()))
    parts = golden.facts(name)["parameters"]
    weights = [torch.Size(shape).numel() for _, shape, _, rule in parts if rule != "keep"]
    assert count == sum(weights)
    embedding = golden.weights(name, "vae")["quantize.embedding.weight"]
    assert torch.equal(model.tokenizer.state_dict()["quantizer.codebook.weight"], embedding)
    head = golden.weights(name, "var")["head.weight"]
    assert torch.equal(model.predictor.state_dict()["transformer.head.weight"], head)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["model"]


def test_one_training_checkpoint_holds_both(files, tmp_path):
    """`ar-ckpt-last.pth`, with the other things that the original's trainer saves."""
    trainer = {
        "config": {"depth": 3, "patch_nums": (1, 2, 3, 4, 5, 6)},
        "var_wo_ddp": originals.state(OURS, "var"),
        "vae_local": originals.state(OURS, "vae"),
        "var_opt": {"optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4}]}},
    }
    path = tmp_path / "ar-ckpt-last.pth"
    torch.save({"args": {"bs": 768, "tag": None}, "epoch": 3, "iter": 0, "trainer": trainer}, path)
    nested, bare = read(path, path), read(*files[OURS])
    assert nested.config == bare.config
    for ours, theirs in ((nested.tokenizer, bare.tokenizer), (nested.transformer, bare.transformer)):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_files_of_before_pytorch_1_6_are_read(tmp_path, files):
    path = tmp_path / "old.pth"
    torch.save(originals.state(OURS, "var"), path, _use_new_zipfile_serialization=False)
    assert read(files[OURS][0], path).config == read(*files[OURS]).config


def test_half_precision_is_kept_on_disk_and_loaded_as_fp32(tmp_path, files):
    path = tmp_path / "half.pth"
    halved = {k: v.half() if v.is_floating_point() else v for k, v in originals.state(OURS, "var").items()}
    torch.save(halved, path)
    convert(files[OURS][0], path, tmp_path / "model")
    convert(*files[OURS], tmp_path / "full")
    size = {name: (tmp_path / name / "transformer.safetensors").stat().st_size for name in ("model", "full")}
    assert size["model"] < 0.6 * size["full"]
    parameters = vartk.load(tmp_path / "model").predictor.parameters()
    assert {p.dtype for p in parameters} == {torch.float32}


def test_a_tokenizer_alone(files, tmp_path):
    convert(files[OURS][0], None, tmp_path / "model", settings={"schedule": [1, 2, 3, 4, 5, 6]})
    model = vartk.load(tmp_path / "model")
    arrays = golden.arrays(OURS)
    assert torch.equal(torch.cat(model.encode(arrays["image"]), 1), arrays["tokens"].long())
    assert not (tmp_path / "model" / "transformer.safetensors").exists()
    with pytest.raises(VartkError, match="tokenizer alone"):
        model.sample([0])


def test_a_tokenizer_alone_of_ten_scales_gets_the_published_schedule(save):
    usage = {"quantize.ema_vocab_hit_SV": torch.zeros(10, 64)}
    config = read(save("vae", **usage)).config
    assert config["schedule"]["grids"] == [1, 2, 3, 4, 5, 6, 8, 10, 13, 16]
    assert config["image_size"] == 256


# errors, each with what is wrong


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
            torch.save({"model": originals.state(OURS, "vae"), "args": argparse.Namespace(lr=1)}, path)
        case "no mapping":
            torch.save([1, 2], path)
        case "other nesting":
            torch.save({"state_dict": originals.state(OURS, "vae")}, path)
        case "checkpoint without it":
            torch.save({"trainer": {"var_wo_ddp": originals.state(OURS, "var")}}, path)
        case "other weights":
            torch.save({"conv1.weight": torch.zeros(3)}, path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "there is no file"),
        ("a folder", "there is no file"),
        ("empty", "is empty"),
        ("text", "is no PyTorch file: it begins with b'we'"),
        ("PNG", "is no PyTorch file: it begins with"),
        ("safetensors", "is no PyTorch file: it begins with"),
        ("another zip", "is truncated or no PyTorch file"),
        ("truncated", "is truncated or no PyTorch file"),
        ("truncated, of before 1.6", "is truncated or no PyTorch file"),
        (
            "objects",
            r"is not read, for it holds more than tensors \(argparse.Namespace\).* save its state dict",
        ),
        ("no mapping", "holds no state dict, .*; it holds a list"),
        ("other nesting", "holds no state dict, .*; it holds a mapping with 'state_dict'"),
        (
            "checkpoint without it",
            r"holds no state dict, neither bare nor under \['trainer'\]\['vae_local'\]",
        ),
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


def test_swapped_files(files, tmp_path):
    vae, var = files[OURS]
    with pytest.raises(VartkError, match=r"var\.pth is not a VAR tokenizer.* are the two files swapped\?"):
        convert(var, vae, tmp_path / "model")
    with pytest.raises(VartkError, match=r"vae\.pth is not a VAR transformer.*: it is a VAR tokenizer"):
        convert(vae, vae, tmp_path / "model")


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("vae", "decoder.mid.attn_1.qkv.weight"),
        ("vae", "encoder.conv_in.weight"),
        ("vae", "encoder.down.2.block.0.conv1.weight"),
        ("vae", "quantize.quant_resi.qresi_ls.2.weight"),
        ("vae", "post_quant_conv.bias"),
        ("var", "word_embed.weight"),
        ("var", "class_emb.weight"),
        ("var", "pos_1LC"),
        ("var", "lvl_embed.weight"),
        ("var", "blocks.0.ffn.fc1.weight"),
        ("var", "blocks.1.attn.scale_mul_1H11"),
        ("var", "blocks.2.attn.q_bias"),
        ("var", "head.weight"),
        ("var", "head_nm.ada_lin.1.bias"),
    ],
)
def test_a_missing_entry_is_named(part, key, save, files, tmp_path):
    paths = dict(zip(("vae", "var"), files[OURS], strict=True)) | {part: save(part, drop=[key])}
    with pytest.raises(VartkError, match=rf"{part}_changed.pth .*lacks {key}"):
        convert(paths["vae"], paths["var"], tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == [f"{part}_changed.pth"]


@pytest.mark.parametrize(
    ("part", "key", "shape"),
    [
        ("vae", "decoder.conv_in.weight", (5, 5)),
        ("vae", "encoder.conv_in.weight", (5,)),
        ("vae", "quantize.embedding.weight", (64,)),
        ("vae", "quantize.quant_resi.qresi_ls.3.weight", (8, 8, 1, 1)),
        ("var", "blocks.1.ffn.fc2.weight", (96, 4)),
        ("var", "blocks.0.attn.scale_mul_1H11", (3,)),
        ("var", "blocks.1.attn.scale_mul_1H11", (1, 4, 1, 1)),
        ("var", "pos_start", (1, 2, 96)),
        ("var", "word_embed.weight", (96,)),
        ("var", "class_emb.weight", ()),
    ],
)
def test_a_misshapen_entry_is_named_as_in_the_original(part, key, shape, save, files, tmp_path):
    paths = dict(zip(("vae", "var"), files[OURS], strict=True)) | {
        part: save(part, **{key: torch.ones(shape)})
    }
    with pytest.raises(VartkError) as caught:
        convert(paths["vae"], paths["var"], tmp_path / "model")
    assert f"{part}_changed.pth" in str(caught.value)
    shown = list(shape) if "blocks.1.attn.scale_mul" not in key else [4]  # the one entry that is reshaped
    assert f"{key} as {shown}" in str(caught.value)


@pytest.mark.parametrize("change", [{"drop": True}, {"shape": (16, 16, 1, 1)}])
def test_a_phi_that_all_scales_share_has_its_own_name(change, save, files):
    key = "quantize.quant_resi.qresi.weight"
    entries = {"drop": [key]} if "drop" in change else {key: torch.ones(change["shape"])}
    with pytest.raises(VartkError, match=f"{key}"):
        convert(
            save("vae", name=SHARED, **entries),
            files[SHARED][1],
            files[SHARED][1].with_name("never"),
            settings=originals.SETTINGS[SHARED],
        )


@pytest.mark.parametrize(
    ("part", "key"), [("vae", "loss.perceptual.weight"), ("var", "blocks.0.attn.gate"), ("var", "cls.weight")]
)
def test_an_extra_entry_is_named(part, key, save, files, tmp_path):
    paths = dict(zip(("vae", "var"), files[OURS], strict=True)) | {part: save(part, **{key: torch.ones(1)})}
    with pytest.raises(VartkError, match=rf"{part}_changed.pth has entries that no VAR has: {key}"):
        convert(paths["vae"], paths["var"], tmp_path / "model")


def test_a_block_too_many_is_named_by_what_it_lacks(save, files, tmp_path):
    var = save("var", **{"blocks.3.attn.q_bias": torch.ones(96)})
    with pytest.raises(VartkError, match=r"lacks blocks\.3\..* and \d+ more"):
        convert(files[OURS][0], var, tmp_path / "model")


def test_files_that_do_not_belong_together(files, save, tmp_path):
    with pytest.raises(VartkError, match=r"do not belong together: .* inputs of width 16, .* 8"):
        convert(files[OURS][0], files[SHARED][1], tmp_path / "model", settings={"heads": 2})
    var = save("var", **{"head.weight": torch.ones(99, 96), "head.bias": torch.ones(99)})
    with pytest.raises(VartkError, match=r"do not belong together: .* vocabulary of 99, .* 64"):
        convert(files[OURS][0], var, tmp_path / "model")


def test_a_schedule_that_cannot_be_known_is_asked_for(files, save, tmp_path):
    with pytest.raises(VartkError, match=r"was trained on 6 scales.*give schedule=\[1,2,\.\.\.\]"):
        convert(files[OURS][0], None, tmp_path / "model")
    vae = save("vae", drop=["quantize.ema_vocab_hit_SV"])
    with pytest.raises(VartkError, match=r"an unknown number of scales.*give schedule="):
        convert(vae, None, tmp_path / "model")
    var = save("var", drop=["lvl_1L"])
    with pytest.raises(VartkError, match=r"6 scales .* of 91 tokens .*give schedule=\[1,2,\.\.\.\]"):
        convert(files[OURS][0], var, tmp_path / "model")
    with pytest.raises(VartkError, match=r"not the squares of the sides \[1, 2, 3, 4, 5, 7\]"):
        convert(files[OURS][0], var, tmp_path / "model", settings={"schedule": [1, 2, 3, 4, 5, 7]})
    assert read(files[OURS][0], var, schedule=[1, 2, 3, 4, 5, 6]).config["image_size"] == 96


def test_settings_that_contradict_the_files_are_refused(files, tmp_path):
    with pytest.raises(VartkError, match="has 3 heads, not 4; leave heads out"):
        convert(*files[OURS], tmp_path / "model", settings={"heads": 4})
    with pytest.raises(VartkError, match=r"has the schedule \[1, 2, 3, 4, 5, 6\], not \[1, 6\]"):
        convert(*files[OURS], tmp_path / "model", settings={"schedule": [1, 6]})
    with pytest.raises(VartkError, match="width 64 cannot have 3 heads; give heads=N"):
        convert(*files[SHARED], tmp_path / "model", settings={"heads": 3, "cosine": True})
    with pytest.raises(ParamErrors, match="unknown parameter 'head'; did you mean 'heads'"):
        convert(*files[SHARED], tmp_path / "model", settings={"head": 2})


def test_an_existing_folder_is_left_alone(files, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "note.txt").write_text("mine")
    with pytest.raises(VartkError, match="exists and is not overwritten"):
        convert(*files[OURS], tmp_path / "model")
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["note.txt"]


def test_nothing_is_left_where_the_files_cannot_be_written(files, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # bytes a file: a disk that fills up
    try:
        with pytest.raises(VartkError, match=r"could not be written: .*File too large"):
            convert(*files[OURS], tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


# the command


def test_the_command_converts_and_says_what_is_next(files, tmp_path, capsys):
    vae, var = map(str, files[SHARED])
    out = str(tmp_path / "model")
    words = ["convert", "--tokenizer", vae, "--transformer", var, "--out", out, "heads=2", "cosine=true"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"model: {out}\nnext: vartk sample {out} --out DIR\n"
    assert read_yaml(tmp_path / "model" / "model.yaml")["quantizer"]["name"] == "vq-cosine"


def test_the_command_takes_a_tokenizer_alone_and_prints_json(files, tmp_path, capsys):
    vae, out = str(files[OURS][0]), str(tmp_path / "model")
    words = ["convert", "schedule=[1,2,3,4,5,6]", "--tokenizer", vae, "--out", out, "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"model": out}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tokenizer", "nowhere.pth"], "there is no file nowhere.pth"),
        (["--tokenizer", "nowhere.pth", "--from", "vra"], "unknown importer 'vra'; did you mean 'var'?"),
        (["--tokenizer", "nowhere.pth", "head=3"], "unknown parameter 'head'; did you mean 'heads'?"),
        (["--tokenizer", "nowhere.pth", "heads=0"], "heads=0 is out of range; it must be at least 1"),
        (["--tokenizer", "nowhere.pth", "cosine=maybe"], "cosine"),
    ],
)
def test_a_mistake_exits_with_2_and_one_message(words, message, tmp_path, capsys):
    assert main(["convert", *words, "--out", str(tmp_path / "model")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert list(tmp_path.iterdir()) == []
