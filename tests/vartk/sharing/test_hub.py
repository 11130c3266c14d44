"""vartk push and pull, and loading at a revision, against a server here that behaves as the hub."""

import os
import subprocess
import sys
from pathlib import Path

import hub_server
import pytest
import torch
from tiny import tiny_model

import vartk

ROOT = Path(__file__).parents[3]


@pytest.fixture
def hub():
    with hub_server.serving() as state:
        yield state


@pytest.fixture
def run(hub, tmp_path):
    """Run Python with its own hub cache, and return what became of it; `token=None` for none."""

    def start(*command, token=hub_server.TOKEN):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in (".", "registry", "plugins")),
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "1",
            "OMP_NUM_THREADS": "1",
        }
        environment.pop("HF_TOKEN", None)
        if token:
            environment["HF_TOKEN"] = token
        return subprocess.run(
            [sys.executable, *map(str, command)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return start


@pytest.fixture
def folder(tmp_path):
    vartk.save(tiny_model(), tmp_path / "tiny")
    return tmp_path / "tiny"


def succeeded(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pushed_model_is_pulled_and_loaded_at_each_revision(hub, run, folder, tmp_path):
    first = succeeded(run("-m", "vartk", "push", folder, "me/tiny", "--license", "mit"))
    repo = hub.repos["me/tiny"]
    old = repo.branches["main"]
    assert f"{hub.url}/me/tiny/commit/{old}" in first
    assert not repo.private
    names = {"README.md", "model.yaml", "samples.png", "tokenizer.safetensors", "transformer.safetensors"}
    assert set(repo.commits[old]) == names
    card = hub.blobs[repo.commits[old]["README.md"]].decode()
    assert card.startswith("---\nlicense: mit\n")
    assert 'vartk.load("me/tiny")' in card

    other = tiny_model()
    with torch.no_grad():
        next(other.predictor.parameters()).add_(1.0)
    vartk.save(other, tmp_path / "other")
    succeeded(run("-m", "vartk", "push", tmp_path / "other", "me/tiny", "--revision", "trial"))
    assert repo.branches["main"] == old
    assert len(hub.received) == 3  # the tokenizer is the same, and is not sent again

    code = """
import vartk
for revision in (None, "trial", %r):
    weights = vartk.load("me/tiny", revision=revision).predictor.parameters()
    print(sum(weight.double().sum().item() for weight in weights))
"""
    sums = list(map(float, succeeded(run("-c", code % old)).split()))
    expected = [sum(w.double().sum().item() for w in m.predictor.parameters()) for m in (tiny_model(), other)]
    assert sums == pytest.approx([expected[0], expected[1], expected[0]])

    succeeded(run("-m", "vartk", "pull", "me/tiny", "--revision", "trial", "--out", "pulled"))
    assert {path.name for path in (tmp_path / "pulled").iterdir()} == names
    assert not any(path.is_symlink() for path in (tmp_path / "pulled").iterdir())
    weights = [(tmp_path / each / "transformer.safetensors").read_bytes() for each in ("pulled", "other")]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_an_upload_that_was_interrupted_goes_on(hub, run, folder):
    hub.broken_after = 1
    broken = run("-m", "vartk", "push", folder, "me/tiny")
    assert broken.returncode == 2
    assert "type the same command again: files that are there already are not sent again" in broken.stderr
    assert "Traceback" not in broken.stderr
    assert hub.repos["me/tiny"].commits[hub.repos["me/tiny"].branches["main"]] == {}
    hub.broken_after = None
    succeeded(run("-m", "vartk", "push", folder, "me/tiny"))
    assert len(hub.received) == len(set(hub.received)) == 2


@pytest.mark.slow
def test_a_private_model_needs_the_token(hub, run, folder, tmp_path):
    refused = run("-m", "vartk", "push", folder, "me/secret", "--private", token="hf_wrong")
    assert refused.returncode == 2
    assert "type `hf auth login`, or set HF_TOKEN to a token that may write there" in refused.stderr
    succeeded(run("-m", "vartk", "push", folder, "me/secret", "--private"))
    assert hub.repos["me/secret"].private
    hidden = run("-m", "vartk", "pull", "me/secret", token=None)
    assert hidden.returncode == 2
    assert "no such model can be had from the hub" in hidden.stderr
    assert not (tmp_path / "secret").exists()
    succeeded(run("-m", "vartk", "pull", "me/secret"))
    assert (tmp_path / "secret" / "model.yaml").is_file()


@pytest.mark.slow
def test_a_card_that_somebody_wrote_is_pushed_as_it_is(hub, run, folder):
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\n# Mine\n")
    succeeded(run("-m", "vartk", "push", folder, "me/tiny"))
    files = hub.repos["me/tiny"].commits[hub.repos["me/tiny"].branches["main"]]
    assert hub.blobs[files["README.md"]].decode().endswith("# Mine\n")
    assert "samples.png" not in files
