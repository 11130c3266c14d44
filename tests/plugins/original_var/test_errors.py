"""Files of the original that lack something, have too much, or do not fit each other."""

import golden
import originals
import pytest
import torch
from originals import read

from vartk.hub import convert
from vartk_registry import ParamErrors, VartkError

OURS, SHARED = golden.NAMES


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


@pytest.mark.parametrize(
    ("part", "key"), [("vae", "quantize.embedding.weight"), ("var", "blocks.1.attn.q_bias")]
)
def test_weights_that_are_not_finite_are_named_as_in_the_original(part, key, save, files, tmp_path):
    values = originals.state(OURS, part)[key].clone()
    values.flatten()[:2] = torch.tensor([torch.nan, torch.inf])
    paths = dict(zip(("vae", "var"), files[OURS], strict=True)) | {part: save(part, **{key: values})}
    found = (
        rf"{part}_changed\.pth has weights that are not finite: {key} \(1 NaN and 1 infinite of \d+ values\)"
    )
    with pytest.raises(VartkError, match=rf"{found}; take an earlier checkpoint"):
        convert(paths["vae"], paths["var"], tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == [f"{part}_changed.pth"]
