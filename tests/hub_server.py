"""A local server that behaves as the Hugging Face hub where models are uploaded and downloaded.

It keeps files of safetensors by their SHA-256, as Git LFS does, and the others in the commits. A repository
has branches of commits; a private one answers as if it were not there, unless the token is right.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

TOKEN = "hf_right"


@dataclass
class Repo:
    private: bool
    commits: dict[str, dict[str, str]] = field(default_factory=dict)
    """The SHA-256 of each file by its path, by commit."""
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, str]) -> str:
        sha = hashlib.sha1(f"{branch} {sorted(files.items())}".encode()).hexdigest()
        self.commits[sha], self.branches[branch] = files, sha
        return sha


@dataclass
class State:
    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    """The method and path of each download."""
    received: list[str] = field(default_factory=list)
    """What each upload of a large file brought, by its SHA-256."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    broken_after: int | None = None
    """Uploads of large files that go well before the others fail."""

    def publish(self, name: str, folder: Path) -> None:
        """Make a public repository of the files of a folder."""
        repo = self.repos[name] = Repo(private=False)
        repo.commit("main", {path.name: self.keep(path.read_bytes()) for path in folder.iterdir()})

    def keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return digest


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, state: State, *args):
        self.state = state
        super().__init__(*args)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.state.seen.append(f"{self.command} {self.path}")
        match self.path.partition("?")[0].strip("/").split("/"):
            case [""]:
                return self.answer(200, {})
            case ["api", "models", owner, name, "revision", revision] if repo := self.repo(owner, name):
                if sha := self.sha(repo, revision):
                    return self.answer(200, {"id": f"{owner}/{name}", "sha": sha})
            case ["api", "models", owner, name, "tree", sha] if repo := self.repo(owner, name):
                files = repo.commits[sha].items()
                rows = [
                    {"type": "file", "path": path, "size": len(self.state.blobs[digest]), "oid": digest}
                    for path, digest in files
                ]
                return self.answer(200, rows)
            case [owner, name, "resolve", revision, file] if repo := self.repo(owner, name):
                sha = self.sha(repo, revision)
                digest = repo.commits.get(sha, {}).get(file)
                if digest:
                    headers = {"ETag": f'"{digest}"', "X-Repo-Commit": sha}
                    return self.answer(200, self.state.blobs[digest], **headers)
        return self.missing()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid username or password."})
        match self.path.partition("?")[0].strip("/").split("/"):
            case ["api", "repos", "create"]:
                asked = json.loads(body)
                name = f"{asked['organization']}/{asked['name']}"
                if name in self.state.repos:
                    return self.answer(409, {"error": "exists", "url": f"{self.state.url}/{name}"})
                repo = self.state.repos[name] = Repo(
                    asked.get("visibility") == "private" or bool(asked.get("private"))
                )
                repo.commit("main", {})
                return self.answer(200, {"url": f"{self.state.url}/{name}"})
            case ["api", "validate-yaml"]:
                return self.answer(200, {"errors": [], "warnings": []})
            case ["api", "models", owner, name, "branch", branch]:
                repo = self.state.repos[f"{owner}/{name}"]
                if branch in repo.branches:
                    return self.answer(409, {"error": "exists"})
                repo.branches[branch] = repo.branches["main"]
                return self.answer(200, {})
            case ["api", "models", owner, name, "preupload", _]:
                paths = [file["path"] for file in json.loads(body)["files"]]
                modes = {path: "lfs" if path.endswith(".safetensors") else "regular" for path in paths}
                rows = [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]
                return self.answer(200, {"files": rows})
            case [_, _, "info", "lfs", "objects", "batch"]:
                return self.answer(200, {"objects": list(map(self.upload, json.loads(body)["objects"]))})
            case ["api", "models", owner, name, "commit", branch]:
                return self.commit(f"{owner}/{name}", branch, body)
        return self.missing()

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        with self.state.lock:
            if self.state.broken_after is not None and len(self.state.received) >= self.state.broken_after:
                return self.answer(400, {"error": "the connection was lost"})
            self.state.received.append(self.state.keep(content))
        return self.answer(200, {})

    def upload(self, asked):
        """Return where to send a large file to, or nowhere if it is there already."""
        known = asked["oid"] in self.state.blobs
        return asked if known else {**asked, "actions": {"upload": {"href": f"{self.state.url}/blob"}}}

    def commit(self, name, branch, body):
        repo = self.state.repos[name]
        files = dict(repo.commits[repo.branches[branch]])
        for line in map(json.loads, body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = self.state.keep(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                files[value["path"]] = value["oid"]
        sha = repo.commit(branch, files)
        address = f"{self.state.url}/{name}/commit/{sha}"
        return self.answer(200, {"commitUrl": address, "commitOid": sha, "success": True})

    def repo(self, owner, name):
        found = self.state.repos.get(f"{owner}/{name}")
        visible = found and (not found.private or self.headers.get("Authorization") == f"Bearer {TOKEN}")
        return found if visible else None

    def sha(self, repo, revision):
        return revision if revision in repo.commits else repo.branches.get(revision)

    def missing(self):
        return self.answer(404, {"error": "not found"}, **{"X-Error-Code": "RevisionNotFound"})

    def answer(self, status, body, **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@contextmanager
def serving() -> Iterator[State]:
    """Give the state of a server that runs while the block does."""
    state = State()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, state)) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield state
        server.shutdown()
