"""Files from the web: whole or absent, continued where a download was cut off, checked by their digest."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from .errors import VartkError

_PATIENCE = 10
"""Seconds in which a server must answer."""

_PIECE = 2**20


def download(url: str, path: Path, *, what: str, advice: str = "", sha256: str = "") -> Path:
    """Return `path`, after it was downloaded if it is not there.

    A part that an interrupted download left is kept beside it, and the next call asks for the rest.

    Args:
        what: what the file holds, for messages, such as "the weights of Inception".
        advice: what else the user can do, a sentence.
        sha256: the beginning of its digest in hexadecimal; empty if it is not known.

    Raises:
        VartkError: the server cannot be reached, the file is cut off or damaged, or it cannot be written; the
            message names the address and the path, so that the user can put the file there.
    """
    if path.is_file():
        return path
    part = path.with_name(f".{path.name}.part")
    by_hand = f"Download {url} by hand and put it at {path}"
    by_hand += f", or {advice}" if advice else ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _continue(url, part)
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise VartkError(f"{what} cannot be downloaded ({reason}). {by_hand}") from error
    if not _digest(part).startswith(sha256):
        part.unlink()
        raise VartkError(f"{what} arrived damaged: the SHA-256 of {url} is not {sha256}... {by_hand}")
    os.replace(part, path)
    return path


def _continue(url: str, part: Path) -> None:
    """Append to a part what is missing; OSError where the server closes the connection too early."""
    had = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_PATIENCE)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and had:  # nothing is missing
            return
        raise
    with answer, part.open("ab" if answer.status == 206 else "wb") as file:
        missing = int(answer.headers.get("Content-Length") or 0)
        print(f"downloading {url} ({missing / 1e6:.0f} MB)", file=sys.stderr, flush=True)
        came = 0
        while piece := answer.read(_PIECE):
            file.write(piece)
            tenths, came = 10 * came // max(missing, 1), came + len(piece)
            if missing > 10 * _PIECE and 10 * came // missing > tenths:
                print(f"  {came / missing:.0%}", file=sys.stderr, flush=True)
        if came < missing:
            raise OSError(f"cut off after {came + had} of {missing + had} bytes; the next try goes on there")


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
