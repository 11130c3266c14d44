"""Finding and loading models; published ones come from a server here that answers as the hub does."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import golden
import hub_server
import originals
import pytest
import torch
from tiny import tiny_model

import vartk
from vartk.components import plugins
from vartk.hub import find_model
from vartk_registry import PresetSpec, VartkError

ROOT = Path(__file__).parents[2]
NAME = golden.NAMES[1]  # the smaller one

# folders


@pytest.fixture
def folder(tmp_path):
    """A tiny model folder."""
    vartk.save(tiny_model(), tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_folder_a_string_and_a_run_are_found(folder, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("image_size: 16\n")
    folder.rename(run / "model")
    images = [vartk.load(name).sample([0, 1]).images for name in (run, str(run), run / "model")]
    assert all(torch.equal(image, images[0]) for image in images)


def test_a_model_is_loaded_ready_to_use(folder):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    model = vartk.load(folder, guidance=3, top_k=5, attention="sdpa")
    assert torch.equal(torch.get_rng_state(), before)
    for module in (model.tokenizer, model.predictor):
        assert not module.training
        assert {(p.dtype, p.device.type) for p in module.parameters()} == {(torch.float32, "cpu")}
    sampling = model.config.sampling
    assert sampling.guidance.params["scale"] == 3
    assert sampling.sampler.params["top_k"] == 5
    assert sampling.attention.name == "sdpa"
    assert torch.equal(model.sample([0]).images, model.sample([0], guidance=3, top_k=5).images)


def test_a_tokenizer_alone_is_a_model(tmp_path):
    model = tiny_model(predictor=False)
    vartk.save(model, tmp_path / "tokenizer")
    loaded = vartk.load(tmp_path / "tokenizer")
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    assert torch.equal(loaded.decode(loaded.encode(images)), model.decode(model.encode(images)))
    with pytest.raises(VartkError, match="tokenizer alone: it encodes and decodes, but cannot sample"):
        loaded.sample([0])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("var-d17", r"no model 'var-d17': neither a folder nor a published name; did you mean 'var-d"),
        (
            "demo",
            r"no model 'demo': .* Valid: emoji64, emoji64-text, infinity-125m, .*, var-d36",
        ),
        ("./nowhere/at/all", "neither a folder nor a published name"),
        ("../nowhere", "neither a folder nor a published name"),
        (".", r"\. is not a model folder: it has no model.yaml"),
        ("weights.pth", r"weights\.pth is a file; `vartk convert` makes a model folder of"),
    ],
)
def test_what_is_no_model_is_refused(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("weights.pth").touch()
    with pytest.raises(VartkError, match=message):
        vartk.load(name)


def test_a_distribution_may_hold_the_model_of_a_preset(folder, monkeypatch):
    boxed = PresetSpec(name="boxed", path=folder / "model.yaml", summary="a preset", model=folder)
    monkeypatch.setitem(plugins().presets, "boxed", boxed)
    assert find_model("boxed") == folder
    with pytest.raises(VartkError, match=r"did you mean 'boxed'\? Valid: boxed, emoji64, emoji64-text"):
        find_model("boxd")


def test_a_setting_or_a_device_that_is_unknown_is_refused(folder):
    with pytest.raises(VartkError, match="unknown key 'guidence'; did you mean guidance"):
        vartk.load(folder, guidence=3)
    with pytest.raises(VartkError, match="device 'cdua' cannot be used here"):
        vartk.load(folder, device="cdua")


def damage(folder, kind):
    tokenizer, transformer = folder / "tokenizer.safetensors", folder / "transformer.safetensors"
    config = folder / "model.yaml"
    match kind:
        case "no tokenizer":
            tokenizer.unlink()
        case "truncated":
            os.truncate(transformer, transformer.stat().st_size - 100)
        case "truncated in its header":
            os.truncate(tokenizer, 20)
        case "empty":
            os.truncate(transformer, 0)
        case "text":
            transformer.write_text("not weights " * 20)
        case "exchanged":
            tokenizer.replace(transformer)
            tokenizer.write_bytes(transformer.read_bytes())
        case "other width":
            config.write_text(config.read_text().replace("width: 32", "width: 64"))
        case "unknown key":
            config.write_text(config.read_text() + "imagesize: 3\n")
        case "unknown component":
            config.write_text(config.read_text().replace("name: var_vqvae", "name: var_vqgan"))
        case "unknown parameter":
            config.write_text(config.read_text().replace("depth:", "dephts:"))
        case "not YAML":
            config.write_text("image_size: [16\n")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no tokenizer", r"tokenizer\.safetensors is missing"),
        ("truncated", r"transformer\.safetensors is truncated or not a safetensors file"),
        ("truncated in its header", r"tokenizer\.safetensors is truncated or not a safetensors file"),
        ("empty", r"transformer\.safetensors is truncated or not a safetensors file"),
        ("text", r"transformer\.safetensors is truncated or not a safetensors file"),
        ("exchanged", r"transformer\.safetensors does not fit .* lacks transformer\.start_position"),
        (
            "other width",
            r"transformer\.safetensors does not fit .* as \[1, 1, 32\], the model as \[1, 1, 64\]",
        ),
        ("unknown key", r"model\.yaml: unknown key 'imagesize'; did you mean image_size\?"),
        ("unknown component", r"model\.yaml: tokenizer: unknown tokenizer 'var_vqgan'; did you mean"),
        ("unknown parameter", r"model\.yaml: transformer\.dephts .*did you mean 'depth'"),
        ("not YAML", r"model\.yaml is not a valid YAML configuration"),
    ],
)
def test_a_damaged_folder_says_what_is_wrong(kind, message, folder):
    damage(folder, kind)
    with pytest.raises(VartkError, match=message):
        vartk.load(folder)


# published models


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub that serves acme/var, the original's files, and acme/model, a model folder; both from `root`."""
    root = tmp_path_factory.mktemp("hub")
    originals.files(root / "acme" / "var", NAME)
    vartk.save(tiny_model(), root / "acme" / "model")
    (root / "acme" / "model" / "huge.bin").write_bytes(b"not needed")
    with hub_server.serving() as server:
        server.root = root
        for name in ("acme/var", "acme/model"):
            server.publish(name, root / name)
        yield server


PLUGIN = """
from pathlib import Path
from vartk_registry import ComponentSpec, PresetSpec, Weights, hookimpl

@hookimpl
def vartk_components():
    config = "vartk_plugins.original_var.config:VarImporterConfig"
    about = {"kind": "importer", "name": "acme", "summary": "acme's own"}
    return [ComponentSpec(target="acme:importer", config=config, **about)]

def importer(**settings):
    from vartk_plugins.original_var.importer import VarImporter
    return VarImporter(**settings | {"heads": 2, "cosine": True})

@hookimpl
def vartk_presets():
    def preset(name, transformer="var.pth", **sha256):
        weights = Weights(
            repo="acme/var", tokenizer="vae.pth", transformer=transformer, importer="acme",
            sha256={f"{part}.pth": digest for part, digest in sha256.items()},
        )
        return PresetSpec(name=name, path=Path("none.yaml"), summary="a preset", weights=weights)
    bad, gone = preset("acme-bad", vae=GOOD, var=64 * "0"), preset("acme-gone", transformer="gone.pth")
    return [preset("acme-good", vae=GOOD), bad, gone]
"""


@pytest.fixture
def place(tmp_path, hub):
    """A fresh user: an empty home, and a plugin installed whose presets lie on the hub."""
    site = tmp_path / "site"
    info = site / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vartk.plugins]\nacme = acme\n")
    good = digest(hub.root / "acme" / "var" / "vae.pth")
    (site / "acme.py").write_text(f"GOOD = {good!r}\n{PLUGIN}")
    hub.seen.clear()
    return tmp_path


def start(place, code, endpoint="http://127.0.0.1:9", **environment):
    """Start a process that runs `code`; nobody listens at port 9."""
    paths = [place / "site", ROOT, ROOT / "registry", ROOT / "plugins", ROOT / "tests"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(place / "hf"),
        "VARTK_CACHE": str(place / "cache"),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, **piped)


def finish(process):
    """Wait for a process and return what it printed."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()


def sample(*names):
    """Return code that prints the sum of a model's images, or the error, for each name: a line each."""
    return f"""
import vartk
for name in {names!r}:
    try:
        print(vartk.load(name).sample([1, 2], seed=0).images.double().sum().item(), flush=True)
    except vartk.VartkError as error:
        print(error)
"""


def cached(place):
    return sorted(p.name for p in (place / "cache").iterdir() if not p.name.endswith(".lock"))


def test_published_weights_are_fetched_checked_and_converted_once(place, hub):
    """Two processes ask at once, after one that was killed; then the server is gone."""
    (place / "cache" / ".acme-good.partial").mkdir(parents=True)
    (place / "cache" / ".acme-good.partial" / "tokenizer.safetensors").write_text("half")
    both = [start(place, sample("acme-good"), hub.url) for _ in range(2)]
    first, second = map(finish, both)
    assert first == second
    assert sorted(line for line in hub.seen if "/resolve/" in line) == [
        f"{method} /acme/var/resolve/main/{file}"
        for method in ("GET", "HEAD")
        for file in ("vae.pth", "var.pth")
    ]
    assert cached(place) == ["acme-good"]
    assert finish(start(place, sample("acme-good"))) == first
    own = vartk.load(originals.converted(place / "own", NAME)).sample([1, 2], seed=0)
    assert float(first) == pytest.approx(own.images.double().sum().item(), rel=1e-6)


def test_a_file_that_is_not_the_published_one_is_refused(place, hub):
    wrong, gone = finish(start(place, sample("acme-bad", "acme-gone"), hub.url)).splitlines()
    found = digest(hub.root / "acme" / "var" / "var.pth")
    assert wrong.startswith(f"var.pth is damaged: its SHA-256 is {found}, not {'0' * 64}; delete /")
    assert gone.startswith("the weights of acme-gone cannot be downloaded: ")
    assert gone.endswith("--from acme --tokenizer vae.pth --transformer gone.pth --out acme-gone")
    assert cached(place) == []


def test_a_file_damaged_in_the_hubs_cache_is_fetched_again_once_deleted(place, hub):
    code = f"""
import os, vartk
from huggingface_hub import hf_hub_download
os.truncate(hf_hub_download("acme/var", "vae.pth"), 1000)
try:
    vartk.load("acme-good")
except vartk.VartkError as error:
    text = str(error)
print(text)
os.unlink(text.partition("; delete ")[2].removesuffix(" and try again"))
{sample("acme-good")}
"""
    refused, made = finish(start(place, code, hub.url)).splitlines()
    assert refused.startswith("vae.pth is damaged: its SHA-256 is ")
    assert float(made) > 0


def test_without_a_network_the_message_says_what_to_fetch_and_to_type(place):
    names = ("var-d16", "acme-good", "someone/model")
    official, third, model = finish(start(place, sample(*names), HF_HUB_OFFLINE="1")).splitlines()
    assert official.startswith("the weights of var-d16 cannot be downloaded: ")
    assert official.endswith(
        "Download vae_ch160v4096z32.pth and var_d16.pth from https://huggingface.co/FoundationVision/var, "
        "then type: vartk convert --tokenizer vae_ch160v4096z32.pth --transformer var_d16.pth --out var-d16"
    )
    assert third.endswith(
        "vartk convert --from acme --tokenizer vae.pth --transformer var.pth --out acme-good"
    )
    assert model.startswith("there is no folder someone/model, and no such model can be had from the hub: ")


def test_a_model_folder_of_the_hub(place, hub):
    """Only the files of a model are fetched; a repo without a model is told apart from none."""
    names = ("acme/model", "acme/var", "acme/nothing")
    total, bare, absent = finish(start(place, sample(*names), hub.url)).splitlines()
    own = vartk.load(hub.root / "acme" / "model").sample([1, 2], seed=0)
    assert float(total) == pytest.approx(own.images.double().sum().item(), rel=1e-6)
    assert not any("huge.bin" in line or ".pth" in line for line in hub.seen)
    assert bare == "acme/var of the hub is not a vartk model: it has no model.yaml"
    assert absent.startswith("there is no folder acme/nothing, and no such model can be had from the hub: ")


def test_what_was_downloaded_before_is_used_without_a_network(place, hub):
    names = ("acme/model", "acme-good")
    before = finish(start(place, sample(*names), hub.url))
    (place / "cache").rename(place / "converted")
    assert finish(start(place, sample(*names))) == before


def test_a_cache_that_cannot_be_used_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VARTK_CACHE", str(tmp_path / "file"))
    with pytest.raises(VartkError, match=r"converted models cannot be kept in .*file .*; set VARTK_CACHE"):
        find_model("var-d16")


def test_what_is_in_the_way_in_the_cache_is_named(tmp_path, monkeypatch):
    (tmp_path / "var-d16").mkdir()
    (tmp_path / "var-d16" / "note.txt").touch()
    monkeypatch.setenv("VARTK_CACHE", str(tmp_path))
    with pytest.raises(VartkError, match=r"var-d16 .*remove it"):
        find_model("var-d16")
