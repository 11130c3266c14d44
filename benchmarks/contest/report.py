"""How the result is shown: a row of a table, and a page of Markdown to keep."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import torch

from vartk.bench.memory import MEANING
from vartk.environment import environment
from vartk.tables import markdown_table
from vartk_registry import counted

from .size import GUIDANCE, TOP_K, TOP_P
from .turns import WARM_UPS, Result

HEADINGS = (
    "work",
    "batch",
    "original, ms",
    "lowest to highest",
    "vartk, ms",
    "lowest to highest",
    "speed-up",
    "memory, original",
    "memory, vartk",
    "first call, original",
    "first call, vartk",
)


def row(work: str, depth: int, batch: int, results: Mapping[str, Result]) -> tuple[str, ...]:
    """Return the cells of a row, under `HEADINGS`."""
    original, vartk = results["original"], results["vartk"]
    failed = original.failure or vartk.failure
    ratio = "-" if failed else f"{original.spread.median / vartk.spread.median:.2f} x"
    return (
        f"{work} d{depth}",
        str(batch),
        *_times(original),
        *_times(vartk),
        ratio,
        *(_memory(result) for result in (original, vartk)),
        *("-" if result.failure else f"{result.first:.2f} s" for result in (original, vartk)),
    )


def protocol(facts: Sequence[str], runs: int, device: torch.device) -> str:
    """Return what was measured, in some sentences that end with the facts about each depth."""
    cuda = device.type == "cuda"
    sampled, trained = ("fp16", "bf16 with cuDNN's search for kernels") if cuda else ("fp32", "fp32")
    tf32 = ", and TF32 in the rest" if cuda else ""
    work = "by this code alone and with its weights" if cuda else "in two calls"
    return (
        f"Both codes ran in one process on {device}, in turns, from the same random weights. Times are "
        f"medians of {counted(runs, 'run')} after {counted(WARM_UPS, 'warm-up')} of each code, with the "
        f"device synchronised. Sampling goes from labels to float images on the device, with guidance "
        f"{GUIDANCE}, top-k {TOP_K} and top-p {TOP_P}. The original runs as in its demo, in "
        f"{sampled}{tf32}. vartk runs `model.stream` with every setting at its default. A training step "
        f"goes from codes to new weights. The original's step is its forward pass with a dense mask, its "
        f"loss, clipping and fused AdamW, in {trained}{tf32}. vartk's step is that of its `Trainer`, with "
        f"the defaults of the preset. The first call of a row contains what must be prepared, such as "
        f"graphs, compiled code or the optimizer; vartk's comes before the original's. Memory is "
        f"{MEANING[device.type]}, {work}. {'. '.join(facts)}."
    )


def page(title: str, command: str, protocol: str, rows: Sequence[Sequence[str]], checkout: str) -> str:
    """Return a page with the command, what was measured, the table and the machine."""
    machine = [
        ("vartk, commit", commit(Path(__file__).parents[2])),
        ("original, commit", checkout),
        *environment(),
    ]
    return (
        f"# {title}\n\n```bash\n{command}\n```\n\n{date.today().isoformat()}. {protocol}\n\n"
        f"{markdown_table(HEADINGS, rows)}\n## Machine\n\n{markdown_table(('what', 'value'), machine)}"
    )


def _times(result: Result) -> tuple[str, str]:
    if result.failure:
        return f"not here: {result.failure}".replace("|", "/"), "-"
    taken = result.spread
    return _ms(taken.median), f"{_ms(taken.low)} to {_ms(taken.high)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f}" if seconds >= 0.1 else f"{seconds * 1000:.1f}"


def _memory(result: Result) -> str:
    return "-" if result.peak is None or result.failure else f"{result.peak / 2**30:.2f} GiB"


def commit(folder: Path) -> str:
    """Return the commit of a checkout, as far as git tells it."""
    if not (folder / ".git").exists():  # git would tell of a repository around it
        return "unknown"
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def hardware(device: torch.device) -> str:
    """Return the name of what computed."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"a CPU with {counted(torch.get_num_threads(), 'thread')}"
