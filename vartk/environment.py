"""What a bug report needs: versions, the machine, plugins, and which components can run."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .components import plugins

PACKAGES = (
    "vartk",
    "torch",
    "timm",
    "safetensors",
    "omegaconf",
    "pluggy",
    "rich",
    "xformers",
    "flash-attn",
    "flash-attn-3",
    "flash-attn-4",
)


def launched_rank() -> int | None:
    """Return the rank of this process if torchrun started it, else None."""
    return int(os.environ["RANK"]) if "TORCHELASTIC_RUN_ID" in os.environ else None


def environment() -> Iterator[tuple[str, str]]:
    """Yield (what, value) lines about this installation; imports torch."""
    import torch

    yield "python", platform.python_version()
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "processors", f"{os.cpu_count()} x {_processor()}, torch uses {torch.get_num_threads()} threads"
    for package in PACKAGES:
        yield package, package_version(package)
    yield "device", torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    found = plugins()
    for spec in found.registry.specs("attention"):
        backend = f"attention {spec.name}"
        try:
            reason = found.registry.build("attention", spec.name, {}).unavailable()
        except Exception as error:  # a plugin may fail in any way
            reason = str(error)
        yield backend, f"not usable: {reason}" if reason else "usable"
    for report in found.reports:
        if not report.ok:
            yield f"plugin {report.name}", f"failed: {report.error}"
    yield from found.environment()


def _processor() -> str:
    """Return the processor's model; Linux keeps it in a file."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def package_version(name: str) -> str:
    """Return the version of an installed package, or that it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
