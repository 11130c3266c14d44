"""What the importer of the original's files infers, whole conversions, and the command."""

import json
import resource

import golden
import originals
import pytest
import torch
from originals import read

import vartk
from vartk.cli.main import main
from vartk.config import read_yaml
from vartk.hub import convert
from vartk_registry import VartkError

OURS, SHARED = golden.NAMES


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
