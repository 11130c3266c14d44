"""Models in the formats of others."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from vartk_registry import UnknownName
from vartk_registry.interfaces import Exporter

from ...config import model_part
from ...engine.model import Model
from ...files import refuse_existing, save_tensors, whole_folder
from ...hub import load_scales
from .onnx_decoder import write_decoder

SAFETENSORS = "safetensors"
ONE_FILE = "model.safetensors"
ONNX_DECODER = "onnx-decoder"
ONNX_FILE = "decoder.onnx"


def formats(model: Model) -> list[str]:
    """Return what models can be exported to: files for any project, and projects that plugins know."""
    registry = model.plugins.registry
    specs = [spec for spec in registry.specs("importer") if not registry.missing(spec)]
    exporting = [s for s in specs if isinstance(registry.build("importer", s.name, {}), Exporter)]
    return [SAFETENSORS, ONNX_DECODER, *(name for spec in exporting for name in (spec.name, *spec.aliases))]


def export(name: str, to: str, out: Path) -> list[str]:
    """Write a model in another format as a new folder; return the names of its files.

    Args:
        name: as for `vartk.load`.
        to: one of `formats`.

    Raises:
        VartkError: the format is unknown or cannot hold this model, `out` exists, or a library is missing.
    """
    refuse_existing(out)
    model = load_scales(name, device="cpu")
    known = formats(model)
    if to not in known:
        raise UnknownName("format to export a model to", to, known)
    states = [module.state_dict() for module in model.modules()]
    with whole_folder(out) as folder:
        if to == SAFETENSORS:
            parts = zip(("tokenizer", "transformer"), states, strict=False)
            merged = {f"{part}.{key}": weight for part, state in parts for key, weight in state.items()}
            save_tensors(merged, folder / ONE_FILE, vartk=json.dumps(model_part(model.config)))
        elif to == ONNX_DECODER:
            write_decoder(model, folder / ONNX_FILE)
        else:
            exporter = model.plugins.registry.build("importer", to, {})
            second = states[1] if len(states) > 1 else None
            files = exporter.export(model_part(model.config), model.schedule, states[0], second)
            for file, state in files.items():
                torch.save(state, folder / file)
        return sorted(path.name for path in folder.iterdir())
