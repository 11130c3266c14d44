"""Downloads from a server on this machine, which cuts connections."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vartk_registry import VartkError
from vartk_registry.downloads import download

CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    cut = 0
    """Bytes after which the connection ends; 0 for never."""
    asked: list[str | None]
    ranges = True

    def do_GET(self):
        self.asked.append(self.headers["Range"])
        start = int(self.headers["Range"][6:-1]) if self.ranges and self.headers["Range"] else 0
        if self.path != "/weights.pth" or start >= len(CONTENT):
            self.send_error(404 if self.path != "/weights.pth" else 416)
            return
        rest = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.cut or None])

    def log_message(self, *words):
        pass


@pytest.fixture
def server():
    handler = type("Here", (Server,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        handler.url = f"http://127.0.0.1:{running.server_port}/weights.pth"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield handler
        running.shutdown()


def fetch(server, path, **settings):
    return download(server.url, path, what="the weights", sha256=DIGEST[:8], **settings)


def test_a_file_is_downloaded_once(server, tmp_path):
    path = tmp_path / "new" / "weights.pth"
    assert fetch(server, path).read_bytes() == CONTENT
    assert fetch(server, path) == path
    assert server.asked == [None]
    assert [file.name for file in path.parent.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_goes_on(server, tmp_path, ranges):
    path = tmp_path / "weights.pth"
    server.cut, server.ranges = 300_000, ranges
    with pytest.raises(VartkError) as error:
        fetch(server, path, advice="take another feature")
    assert f"the weights cannot be downloaded (cut off after 300000 of {len(CONTENT)} bytes" in str(
        error.value
    )
    assert f"Download {server.url} by hand and put it at {path}, or take another feature" in str(error.value)
    assert not path.exists()
    server.cut = 0
    assert fetch(server, path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]  # a server without ranges sends all of it again


def test_a_download_that_was_only_not_renamed(server, tmp_path):
    (tmp_path / ".weights.pth.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path / "weights.pth").read_bytes() == CONTENT


def test_what_arrives_damaged_is_not_kept(server, tmp_path):
    (tmp_path / ".weights.pth.part").write_bytes(b"other")
    with pytest.raises(VartkError, match=f"arrived damaged: the SHA-256 of {server.url} is not {DIGEST[:8]}"):
        fetch(server, tmp_path / "weights.pth")
    assert list(tmp_path.iterdir()) == []


def test_no_server_no_file_no_place(server, tmp_path):
    def message(url, path):
        with pytest.raises(VartkError) as error:
            download(url, path, what="the weights")
        return str(error.value)

    assert "Not Found" in message(server.url + "x", tmp_path / "a")
    assert "refused" in message("http://127.0.0.1:9/weights.pth", tmp_path / "a")
    (tmp_path / "file").touch()
    assert "by hand and put it at" in message(server.url, tmp_path / "file" / "a")
