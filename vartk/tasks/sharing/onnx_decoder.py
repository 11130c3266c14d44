"""The decoder of a model as one ONNX file, which other runtimes execute without vartk.

Legend: B batch, L tokens of all scales, H and W the image's height and width.
"""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr
from pathlib import Path

import torch
from torch import nn

from vartk_registry import MissingRequirement, VartkError
from vartk_registry.interfaces import Schedule, Tokenizer

from ...config import model_part
from ...engine.codes import latents, split
from ...engine.model import Model
from ...files import whole_file

OPSET = 18
"""The version of ONNX's operators, which runtimes have had since 2023."""

SIZE_LIMIT = 2 * 10**9
"""Bytes of weights that one ONNX file can hold: it is a protocol buffer."""


class CodesToImages(nn.Module):
    """A tokenizer's way from codes [B, L, *shape] to images [B, 3, H, W] in [-1, 1]."""

    def __init__(self, tokenizer: Tokenizer, schedule: Schedule) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.schedule = schedule.scales

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the images of the codes of all scales, coarse to fine."""
        *_, f_hat = latents(self.tokenizer, split(codes, self.schedule), self.schedule)
        return self.tokenizer.decode(f_hat)


def write_decoder(model: Model, path: Path) -> None:
    """Write what decodes a model's codes as an ONNX file, in float32.

    The input `codes` is int64 [batch, L, *shape], the codes of all scales one after another; the output
    `images` is float32 [batch, 3, H, W] in [-1, 1]; the batch is free. The file's metadata describe them.

    Raises:
        MissingRequirement: a library is not installed.
        VartkError: the tokenizer computes what ONNX cannot express, or is too large for one file.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingRequirement(
            f"vartk export --to onnx-decoder needs {error.name}; type `pip install onnx onnxscript`, or "
            "install vartk[onnx]"
        ) from error
    decoder = CodesToImages(model.tokenizer, model.schedule).eval()
    _check_size(decoder)
    codes = torch.zeros(2, sum(decoder.schedule.sizes), *model.tokenizer.space.shape, dtype=torch.long)
    with torch.no_grad():
        decoder(codes)  # tables that components keep must not be made while they are traced
    program = _traced(decoder, codes, model.config.tokenizer.name)
    program.model.metadata_props.update(_metadata(model))
    with whole_file(path) as aside:
        program.save(aside, external_data=False)


def _traced(decoder: CodesToImages, codes: torch.Tensor, name: str) -> torch.onnx.ONNXProgram:
    """Return the graph of a decoder for any batch; `name` is the tokenizer's, for the message."""
    try:
        with redirect_stderr(io.StringIO()):  # torch prints the whole graph where it gives up
            return torch.onnx.export(
                decoder,
                (codes,),
                dynamo=True,
                input_names=["codes"],
                output_names=["images"],
                dynamic_shapes={"codes": {0: torch.export.Dim("batch")}},
                opset_version=OPSET,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise VartkError(
            f"tokenizer {name!r} cannot be exported to ONNX: {_reason(error)}; "
            "take --to safetensors, which holds any model"
        ) from error


def _metadata(model: Model) -> dict[str, str]:
    """Return what a reader of the file must know, as JSON each."""
    schedule, space = model.schedule.scales, model.tokenizer.space
    facts = {
        "schedule": [list(grid) for grid in schedule.grids],
        "tokens": list(schedule.sizes),
        "code_classes": space.classes,
        "code_shape": list(space.shape),
        "value_range": [-1, 1],
        "vartk": model_part(model.config),
    }
    return {name: json.dumps(fact) for name, fact in facts.items()}


def _check_size(decoder: nn.Module) -> None:
    size = sum(weight.numel() * 4 for weight in decoder.parameters())
    if size > SIZE_LIMIT:
        raise VartkError(
            f"the tokenizer has {size / 1e9:.1f} GB of weights, but one ONNX file holds 2 GB; "
            "take --to safetensors"
        )


def _reason(error: BaseException) -> str:
    """Return the first line of what made a trace fail."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).splitlines()), "") or type(error).__name__
