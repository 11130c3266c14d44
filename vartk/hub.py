"""Finds models: folders, training runs, and published weights, which are fetched and converted once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vartk_registry import PresetSpec, VartkError, suggestion

from .components import plugins

if TYPE_CHECKING:
    from .engine.model import Model

CACHE = "VARTK_CACHE"
"""The environment variable that moves the folder of converted models."""


def load(name: str | Path, *, device: Any = "cpu", **sampling: Any) -> Model:
    """Return a model in evaluation mode and float32.

    Args:
        name: a folder or a published name (see `find_model`).
        device: where to put it ("cpu", "cuda", a `torch.device`).
        sampling: defaults for `Model.sample`, by the same names: `attention="sdpa"`, `guidance=3`, ...

    Raises:
        VartkError: there is no such model, it is damaged, or a setting is unknown.
    """
    from .engine.folder import load_model

    model = load_model(find_model(name), plugins()).to(device)
    model.config.sampling = model.sampling(**sampling)
    return model


def find_model(name: str | Path) -> Path:
    """Return the folder of a model.

    Args:
        name: a model folder, a training run's folder, a preset with published weights ("var-d16"), or a
            model folder on the Hugging Face hub ("owner/name").

    Raises:
        VartkError: there is no such model, or it cannot be downloaded; the message says what to do.
    """
    from .engine.folder import CONFIG

    folder = Path(name)
    for candidate in (folder, folder / "model"):
        if (candidate / CONFIG).is_file():
            return candidate
    preset = plugins().presets.get(str(name))
    if preset is not None and preset.weights is not None:
        return _published(preset)
    if folder.is_dir():
        raise VartkError(f"{folder} is not a model folder: it has no {CONFIG}")
    if str(name).count("/") == 1 and not folder.exists() and not str(name).startswith((".", "/")):
        return _from_hub(str(name))
    published = [p.name for p in plugins().presets.values() if p.weights is not None]
    raise VartkError(
        f"no model {str(name)!r}: neither a folder nor a published name{suggestion(str(name), published)}"
    )


def convert(
    tokenizer: Path,
    transformer: Path | None,
    out: Path,
    *,
    importer: str = "var",
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write another project's checkpoint as a new model folder.

    Args:
        importer: which project's. settings: its parameters.

    Raises:
        VartkError: `out` exists, a file is not what it should be, or entries are missing or misshapen.
    """
    import torch

    from .config import Layer, ModelConfig, compose, plain
    from .engine.files import check_weights, refuse_existing, whole_folder
    from .engine.folder import new_model, write_model

    refuse_existing(out)
    read = plugins().registry.build("importer", importer, settings or {})
    imported = read(tokenizer, transformer)
    config = compose(ModelConfig, [Layer("importer", imported.config)], plugins()).config
    with torch.device("meta"):
        model = new_model(config, plugins(), predictor=transformer is not None)
    check_weights(model.tokenizer, imported.tokenizer, tokenizer, imported.original_name)
    sources = tokenizer.name
    if transformer is not None:
        check_weights(model.predictor, imported.transformer, transformer, imported.original_name)
        sources += f" and {transformer.name}"
    card = f"# A converted model\n\nConverted by `vartk convert` from {sources}.\n"
    with whole_folder(out) as aside:
        write_model(aside, plain(config), imported.tokenizer, imported.transformer, card)


def _published(preset: PresetSpec) -> Path:
    weights = preset.weights
    assert weights is not None
    folder = _cache() / preset.name
    if folder.exists():
        return folder
    names = (weights.tokenizer, weights.transformer)
    try:
        paths = [_download(weights.repo, name, weights.sha256.get(name)) for name in names]
    except OSError as error:
        raise VartkError(
            f"the weights of {preset.name} cannot be downloaded ({error}). Download "
            f"{' and '.join(names)} from https://huggingface.co/{weights.repo}, then type: vartk convert "
            f"--tokenizer {names[0]} --transformer {names[1]} --out {preset.name}"
        ) from error
    convert(*paths, folder, importer=weights.importer)
    return folder


def _download(repo: str, name: str, sha256: str | None) -> Path:
    """Fetch a file of a repo through the hub's own cache and check its digest; OSError if it fails."""
    from huggingface_hub import hf_hub_download

    path = Path(_reaching(hf_hub_download, repo, name))
    if sha256 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise VartkError(
                f"{path} is damaged: its SHA-256 is {found}, not {sha256}; delete it and try again"
            )
    return path


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(_reaching(snapshot_download, name))
    except OSError as error:
        raise VartkError(
            f"no folder {name}, and the hub's model {name} cannot be downloaded: {error}"
        ) from error


def _reaching(download: Any, *args: str) -> str:
    """Call a download; whatever goes wrong on the way is an OSError with its first line."""
    import httpx
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return download(*args)
    except (HfHubHTTPError, httpx.HTTPError, OSError, ValueError) as error:
        raise OSError(str(error).strip().splitlines()[0]) from error


def _cache() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vartk"
    return Path(os.environ.get(CACHE, default))
