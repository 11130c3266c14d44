"""To the hub and back; the token is the usual one, of `hf auth login` or HF_TOKEN."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vartk_registry import VartkError, shown

from ...files import refuse_existing, whole_folder
from ...hub import find_model, from_hub
from .card import CARD, PICTURE, is_card, make_card

_REPO = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def push(
    name: str,
    repo: str,
    *,
    private: bool = False,
    revision: str | None = None,
    licence: str | None = None,
    evaluation: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> str:
    """Upload a model with its card as one commit; return the commit's address.

    Files that are there already are not sent again, so an upload that was interrupted goes on.

    Args:
        name: as for `vartk.load`.
        repo: "user/name"; it is made if there is none.
        private: make a new repository private.
        revision: a branch, made if there is none; the default one if not given.
        licence, evaluation: of the card (see `make_card`).
        tell: takes what happens.

    Raises:
        VartkError: the model or the name of the repository is wrong, or the hub refuses the upload.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    _require_repo(repo)
    folder, api = find_model(name), HfApi()
    with tempfile.TemporaryDirectory() as made:
        files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if _shared(path)}
        if not is_card(folder / CARD):
            tell("making the model card")
            files |= {
                path.name: path
                for path in make_card(name, repo, licence=licence, evaluation=evaluation).write(Path(made))
            }
        operations = [
            CommitOperationAdd(path_in_repo=path, path_or_fileobj=file) for path, file in files.items()
        ]
        tell(f"uploading {', '.join(files)}")
        try:
            api.create_repo(repo, private=private, exist_ok=True)
            if revision is not None:
                api.create_branch(repo, branch=revision, exist_ok=True)
            commit = api.create_commit(repo, operations, commit_message="A model of vartk", revision=revision)
        except Exception as error:  # of the hub's client, its HTTP library or the network
            raise VartkError(_refusal(repo, error)) from error
    return str(commit.commit_url)


def pull(repo: str, out: Path, *, revision: str | None = None) -> Path:
    """Copy a model of the hub, with its card and pictures, into a new folder and return it.

    Raises:
        VartkError: there is no such model or revision, or `out` exists.
    """
    _require_repo(repo)
    refuse_existing(out)
    found = from_hub(repo, revision, also=("*.png", "*.svg"))
    with whole_folder(out) as aside:
        for path in found.iterdir():
            if path.is_file():
                shutil.copyfile(path, aside / path.name)  # not the link to the hub's cache
    return out


def _shared(path: Path) -> bool:
    return path.is_file() and (path.suffix in (".safetensors", ".yaml") or path.name in (CARD, PICTURE))


def _require_repo(repo: Any) -> None:
    if not isinstance(repo, str) or not _REPO.fullmatch(repo):
        raise VartkError(f"{shown(repo)} is no repository of the hub; give user/name")


def _refusal(repo: str, error: Exception) -> str:
    """Return why an upload failed and what to do."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if status in (401, 403):
        advice = "type `hf auth login`, or set HF_TOKEN to a token that may write there"
    else:
        advice = "type the same command again: files that are there already are not sent again"
    return f"{repo} could not be uploaded ({reason}); {advice}"
