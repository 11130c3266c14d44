"""Finds models: folders, training runs, and published weights, which are fetched and converted once."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vartk_registry import PresetSpec, VartkError, Weights, require_reachable, shortened, shown, suggestion
from vartk_registry.places import CACHE, cache_folder

from .components import plugins

if TYPE_CHECKING:
    from .config import Config
    from .engine.generators.model import GeneratorModel
    from .engine.model import Model

_PATIENCE = 2.5
"""Seconds in which the hub must answer. Its client would try for half a minute."""

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def load(
    name: str | Path, *, device: Any = "auto", revision: str | None = None, **sampling: Any
) -> Model | GeneratorModel:
    """Return a model in evaluation mode and float32: a `Model`, or a `GeneratorModel` such as DiT's.

    Args:
        name: a folder or a published name (see `find_model`), or the folder of a pipeline of diffusers.
        device: where to put it ("cpu", "cuda", a `torch.device`); "auto" takes the GPU if there is one.
        revision: of a model on the hub: a branch, a tag or a commit.
        sampling: defaults for `Model.sample`, by the same names: `attention="sdpa"`, `guidance=3`, ...

    Raises:
        VartkError: there is no such model or device, it is damaged, or a setting is unknown.
    """
    from .engine.arguments import as_path
    from .engine.device import as_device
    from .engine.folder import load_any

    where, path = as_device(device), as_path(name, "folder or name of a model")
    folder = find_model(path, revision)
    if (folder / "adapters.json").is_file():
        from .engine.adapters import load_adapted

        model: Any = load_adapted(folder, plugins(), find_model)
    else:
        model = load_any(folder, plugins())
    model.to(where)
    model.set_defaults(**sampling)
    return model


def load_scales(name: str | Path, *, device: Any = "auto") -> Model:
    """Return a next-scale model, for what works on its scales.

    Raises:
        VartkError: as `load`, or the model is a generator, which has no scales.
    """
    from .engine.model import Model

    model = load(name, device=device)
    if not isinstance(model, Model):
        raise VartkError(
            f"{name} is a generator ({model.config.generator.name}), which has no scales; this needs a "
            "next-scale model, such as emoji64"
        )
    return model


def find_model(name: str | Path, revision: str | None = None) -> Path:
    """Return the folder of a model.

    Args:
        revision: as for `load`.
        name: a model folder, a training run's folder, a preset that has a model in its distribution, or
            published weights ("var-d16"), or a model folder on the Hugging Face hub ("owner/name").

    Raises:
        VartkError: there is no such model, or it cannot be downloaded; the message says what to do.
    """
    from .engine.folder import CONFIG

    found = local_model(name)
    if revision is not None and (found is not None or not _HUB_ID.fullmatch(str(name))):
        raise VartkError(
            f"revision={shown(revision)} is of a model on the hub, and {shortened(name)} is none"
        )
    if found is not None:
        return found
    folder = Path(name)
    preset = plugins().presets.get(str(name))
    if preset is not None and preset.weights is not None:
        return _published(preset, preset.weights)
    require_reachable(folder)
    if os.path.isdir(folder):
        raise VartkError(f"{folder} is not a model folder: it has no {CONFIG}")
    if os.path.isfile(folder):
        raise VartkError(
            f"{folder} is a file; `vartk convert` makes a model folder of an original VAR's files"
        )
    if _HUB_ID.fullmatch(str(name)):
        return from_hub(str(name), revision)
    published = [p.name for p in plugins().presets.values() if p.model or p.weights]
    raise VartkError(
        f"no model {shortened(name)!r}: neither a folder nor a published name"
        f"{suggestion(str(name), published)}"
    )


def start_of(config: Config, stage: str = "transformer", *, resume: bool = False) -> Path | None:
    """Return the folder of the model that a stage's training starts from; errors as `find_model`.

    A resumed run has its own weights, and needs this model for adapters (LoRA) alone.

    Args:
        stage: "tokenizer" or "transformer".
    """
    train = getattr(config.train, stage)
    adapted = stage == "transformer" and train.lora.rank > 0
    needed = train.start_from is not None and (not resume or adapted)
    return find_model(train.start_from) if needed else None


def local_model(name: str | Path) -> Path | None:
    """Return the folder of a model that is here: a folder, a run's, or one in a distribution; else None."""
    from .engine.folder import CONFIG, PIPELINE

    for candidate in (Path(name), Path(name) / "model"):
        if any(os.path.isfile(candidate / file) for file in (CONFIG, PIPELINE)):
            return candidate
    preset = plugins().presets.get(str(name))
    return None if preset is None else preset.model


def fingerprints(name: str | Path) -> dict[str, str]:
    """Return the SHA-256 of each file of weights of a model, by the file's name; errors as `find_model`."""
    from .engine.folder import fingerprint

    folder = find_model(name)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.safetensors"))
    return {file: fingerprint(folder, file) for file in files}


def convert(
    tokenizer: Path,
    transformer: Path | None,
    out: Path,
    *,
    importer: str = "var",
    settings: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Write another project's checkpoint as a new model folder, and return the importer's notes on the files.

    Args:
        importer: which project's. settings: its parameters.

    Raises:
        VartkError: `out` exists, a file is not what it should be, or entries are missing, misshapen or not
            finite.
    """
    from .config import Layer, ModelConfig, compose, plain
    from .engine.folder import new_model, write_model
    from .engine.weightless import weightless
    from .engine.weights import check_weights
    from .files import refuse_existing, whole_folder

    refuse_existing(out)
    read = plugins().registry.build("importer", importer, settings or {})
    imported = read(tokenizer, transformer)
    config = compose(ModelConfig, [Layer("importer", imported.config)], plugins()).config
    with weightless():
        model = new_model(config, plugins(), predictor=transformer is not None)
    check_weights(model.tokenizer, imported.tokenizer, tokenizer, imported.original_name)
    sources = tokenizer.name
    if transformer is not None:
        check_weights(model.predictor, imported.transformer, transformer, imported.original_name)
        sources += f" and {transformer.name}"
    card = f"# A converted model\n\nConverted by `vartk convert` from {sources}.\n"
    card += "".join(f"\n- {note}" for note in imported.notes) + "\n" * bool(imported.notes)
    with whole_folder(out) as aside:
        write_model(aside, plain(config), imported.tokenizer, imported.transformer, card)
    return imported.notes


def _published(preset: PresetSpec, weights: Weights) -> Path:
    """Return the folder of a preset's weights, which are fetched and converted by the first to ask."""
    from .engine.folder import CONFIG
    from .files import refuse_existing

    folder = cache_folder() / preset.name
    if not (folder / CONFIG).is_file():
        with _locked(folder):
            if not (folder / CONFIG).is_file():  # nor has another process made it meanwhile
                refuse_existing(folder)
                convert(*_fetched(preset.name, weights), folder, importer=weights.importer)
    return folder


def _fetched(name: str, weights: Weights) -> tuple[Path, Path]:
    """Return a preset's tokenizer and transformer files, fetched through the hub's own cache and checked."""
    files = weights.tokenizer, weights.transformer
    importer = "" if weights.importer == "var" else f" --from {weights.importer}"
    advice = (
        f"Download {' and '.join(files)} from https://huggingface.co/{weights.repo}, then type: vartk convert"
        f"{importer} --tokenizer {files[0]} --transformer {files[1]} --out {name}"
    )
    silent = _silence()
    with _explained(f"the weights of {name} cannot be downloaded", advice, silent):
        tokenizer, transformer = (_fetched_file(weights.repo, file, silent) for file in files)
    for file, path in zip(files, (tokenizer, transformer), strict=True):
        _check_digest(file, path, weights.sha256.get(file))
    return tokenizer, transformer


def _fetched_file(repo: str, file: str, silent: str) -> Path:
    """Return a file of a repo, or a folder where the name has no ending."""
    from huggingface_hub import hf_hub_download, snapshot_download

    if not Path(file).suffix:
        return Path(snapshot_download(repo, allow_patterns=f"{file}/*", local_files_only=bool(silent))) / file
    # hf_hub_download asks the hub even where it may not download
    get = _downloaded_before if silent else hf_hub_download
    # the hub's links resolved, for a damaged file must be deleted where it really is
    return Path(get(repo, file)).resolve()


def _check_digest(file: str, path: Path, sha256: str | None) -> None:
    """Raise `VartkError` if a file has not the digest that is known of it."""
    if sha256 is None:
        return
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        raise VartkError(
            f"{file} is damaged: its SHA-256 is {found}, not {sha256}; delete {path} and try again"
        )


def from_hub(name: str, revision: str | None = None, also: Sequence[str] = ()) -> Path:
    """Return a copy of a model folder of the hub, in the hub's own cache.

    Args:
        revision: a branch, a tag or a commit; the default branch if not given.
        also: patterns of further files to fetch.

    Raises:
        VartkError: there is no such model or revision, or it cannot be had.
    """
    from huggingface_hub import snapshot_download

    from .engine.folder import CARD, CONFIG

    silent = _silence()
    at = f" --revision {revision}" if revision else ""
    advice = (
        "Check the name, or, on a machine that reaches the hub, type: "
        f"hf download {name}{at} --local-dir FOLDER, and give that folder instead of the name"
    )
    with _explained(f"there is no folder {name}, and no such model can be had from the hub", advice, silent):
        patterns = [CONFIG, CARD, "*.safetensors", *also]
        folder = Path(
            snapshot_download(name, revision=revision, allow_patterns=patterns, local_files_only=bool(silent))
        )
    if not (folder / CONFIG).is_file():
        raise VartkError(f"{name} of the hub is not a vartk model: it has no {CONFIG}")
    return folder


def _downloaded_before(repo: str, file: str) -> str:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file)
    if not isinstance(found, str):
        raise FileNotFoundError(file)
    return found


def _silence() -> str:
    """Return why the hub cannot be asked, or an empty string if it answers, or is not to be asked."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if constants.HF_HUB_OFFLINE:
        return ""
    found: list[str] = []

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
            found.append("")
        except Exception as error:  # of the HTTP library that the hub's client uses: not always the same
            found.append(_first_line(error))

    # a thread, since no timeout of the library covers the look-up of the name too
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    why = found[0] if found else f"no answer in {_PATIENCE:g} s"
    return why and (
        f"{constants.ENDPOINT} cannot be reached ({why}), and it is not among the files that were downloaded "
        "before. Check the network, or set HF_ENDPOINT to a mirror of the hub."
    )


@contextmanager
def _explained(problem: str, advice: str, silence: str) -> Iterator[None]:
    """Turn whatever goes wrong in a download into a `VartkError`; `silence` is what `_silence` returned."""
    try:
        yield
    except Exception as error:  # see `_silence`
        reason = silence or _first_line(error)
        raise VartkError(f"{problem}: {reason}{'.' * (not reason.endswith('.'))} {advice}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from making a folder; the lock ends with the process, however it ends."""
    from filelock import FileLock

    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise VartkError(
            f"converted models cannot be kept in {folder.parent} ({error}); set {CACHE} to another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()
