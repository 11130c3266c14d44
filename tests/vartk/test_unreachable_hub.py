"""A hub that cannot be reached: a closed port, and one where nobody ever answers."""

import os
import socket
import subprocess
import sys

import pytest

SAMPLE = [sys.executable, "-m", "vartk", "sample"]


@pytest.fixture
def blackhole():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed():
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("kind", ["blackhole", "closed"])
@pytest.mark.parametrize(
    ("name", "advice"),
    [("someone/model", "hf download someone/model --local-dir FOLDER"), ("var-d16", "vartk convert")],
)
def test_a_message_comes_soon_and_says_what_to_do(kind, name, advice, request, tmp_path):
    endpoint = request.getfixturevalue(kind)
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "VARTK_CACHE": str(tmp_path / "cache"),
        "NO_PROXY": "127.0.0.1",
    }
    command = [*SAMPLE, name, "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    _, message = done.stderr.splitlines()
    assert f"{endpoint} cannot be reached" in message
    assert "HF_ENDPOINT" in message
    assert advice in message
    assert not (tmp_path / "out").exists()
