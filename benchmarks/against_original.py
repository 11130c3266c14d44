"""Times the published code of VAR and vartk in turns, in one process: sampling and training.

    python benchmarks/against_original.py --original VAR --depth 16 --batch 1,8,64 --out FILE.md

`VAR` is a checkout of github.com/FoundationVision/VAR. README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from contest import original, report, turns
from contest.original import Original
from contest.size import SIZES, Size
from contest.toolkit import Toolkit
from contest.turns import Entrant, Held, Result

from vartk.bench.memory import Failed, peak_memory
from vartk.cli.arguments import add_device, chosen, whole_number
from vartk.engine.allocation import keep_freed_memory
from vartk.engine.device import as_device
from vartk.files import refuse_existing, whole_file
from vartk_registry import VartkError

WORKS = ("sample", "train")
TOLERANCE = 1e-2
"""How far logits of the two codes may be apart in fp32, relative to the largest one."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure what the command line says; 2 is the exit code of a user's mistake."""
    arguments = parser().parse_args(words)
    try:
        run(arguments)
    except VartkError as error:
        print(f"against_original: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description="Time the published code of VAR and vartk in turns.")
    made.add_argument("--original", type=Path, required=True, metavar="CHECKOUT", help="folder of VAR's code")
    add_device(made)
    made.add_argument("--depth", default="16", metavar="A,B", help="depths of the transformer (default: 16)")
    made.add_argument(
        "--batch", default="1,8,64", metavar="A,B", help="batches of sampling (default: 1,8,64)"
    )
    made.add_argument(
        "--train-batch", type=whole_number(1, 4096), default=32, metavar="N", help="(default: 32)"
    )
    made.add_argument("--work", default="sample,train", help="sample, train or both (default: both)")
    made.add_argument(
        "--runs", type=whole_number(1, 1000), metavar="N", help="of each code (default: 10, on a CPU 3)"
    )
    made.add_argument("--size", default="published", choices=SIZES, help="tiny is for a quick check")
    made.add_argument("--out", type=Path, metavar="FILE.md", help="write the result to this Markdown file")
    return made


def run(arguments: argparse.Namespace) -> None:
    """Measure every row, print it, and write the file at the end.

    Raises:
        VartkError: a wrong argument, or the two codes do not compute the same.
    """
    original.require_checkout(arguments.original)
    device = as_device(arguments.device)
    named = chosen("work", arguments.work, WORKS)
    works = [work for work in WORKS if work in named]  # training changes what would be sampled from
    depths, batches = numbers("depth", arguments.depth), numbers("batch", arguments.batch)
    if arguments.out is not None:
        refuse_existing(arguments.out)
    runs = arguments.runs or (10 if device.type == "cuda" else 3)
    keep_freed_memory()
    _start(device)
    rows, facts = [], []
    for depth in depths:
        made, fact = bench(arguments, depth, works, batches, runs, device)
        rows += made
        facts.append(fact)
    protocol = report.protocol(facts, runs, device)
    print(protocol)
    if arguments.out is not None:
        title = f"vartk and the published code of VAR on {report.hardware(device)}"
        text = report.page(title, _command(arguments), protocol, rows, report.commit(arguments.original))
        with whole_file(arguments.out) as aside:
            aside.write_text(text)


def bench(
    arguments: argparse.Namespace,
    depth: int,
    works: Sequence[str],
    batches: Sequence[int],
    runs: int,
    device: torch.device,
) -> tuple[list[tuple[str, ...]], str]:
    """Return the rows of a depth, and a sentence about its two models."""
    gc.collect()  # the models of the depth before
    size = SIZES[arguments.size]
    held = Held(device), Held(device)
    with held[0].counted():
        theirs = Original(arguments.original, size, depth, device)
    with held[1].counted():
        ours = Toolkit(size, depth, device, theirs.weights())
    difference = agreement(theirs, ours, size)
    fact = (
        f"At d{depth} the original's attention is {theirs.attention}, and the two codes' fp32 logits of the "
        f"same codes differ by {difference:.1e} of the largest"
    )
    # vartk goes first: what the first call of a process loads for both is counted as vartk's
    entrants = [Entrant(ours, held[1]), Entrant(theirs, held[0])]
    rows = []
    print(fact, flush=True)
    print(" | ".join(report.HEADINGS))
    for work in works:
        for batch in batches if work == "sample" else [arguments.train_batch]:
            results = turns.measure(entrants, work, batch, runs)
            if device.type == "cpu":
                _memory_on_cpu(results, arguments.original, size, depth, work, batch)
            rows.append(report.row(work, depth, batch, results))
            print(" | ".join(rows[-1]), flush=True)
    return rows, fact


def agreement(theirs: Original, ours: Toolkit, size: Size) -> float:
    """Return the largest difference of the two codes' logits in fp32, relative to the largest logit.

    Raises:
        VartkError: it is not small, so that the two are not worth comparing.
    """
    labels, codes = size.labels(2, ours.device), size.codes(2, ours.device)
    with original.torch_settings(tf32=False):
        expected, found = theirs.logits(labels, codes), ours.logits(labels, codes)
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    if not difference <= TOLERANCE:
        raise VartkError(
            f"from the same weights and codes the logits of vartk and of the original differ by "
            f"{difference:.2g} of the largest; take another checkout of {original.URL}"
        )
    return difference


def numbers(what: str, text: str) -> list[int]:
    """Return the positive whole numbers of a list A,B; `VartkError` where it is none."""
    found = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) for word in found):
        raise VartkError(f"--{what} {text!r} is no list of whole numbers; write it as in --{what} 1,8")
    return [int(word) for word in found]


def _start(device: torch.device) -> None:
    """Load the libraries of the device, which neither code's first call is to pay for."""
    if device.type == "cuda":
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            image = torch.rand(1, 8, 16, 16, device=device, dtype=dtype)
            (torch.nn.functional.conv2d(image, image[:, :, :3, :3]) @ image[..., :14, :]).sum().item()


def _memory_on_cpu(
    results: dict[str, Result], checkout: Path, size: Size, depth: int, work: str, batch: int
) -> None:
    device = torch.device("cpu")
    builders = {"original": (Original, (checkout, size, depth, device))}
    builders["vartk"] = (Toolkit, (size, depth, device, None))
    for name, (build, given) in builders.items():
        if not results[name].failure:
            try:
                results[name].peak = peak_memory(device, turns.twice, build, given, work, batch)
            except Failed as error:
                results[name].failure = str(error)


def _command(arguments: argparse.Namespace) -> str:
    """Return the command line that measures the same."""
    words = ["python", "benchmarks/against_original.py", "--original", "CHECKOUT"]
    words += ["--device", arguments.device, "--depth", arguments.depth, "--batch", arguments.batch]
    words += ["--train-batch", arguments.train_batch, "--work", arguments.work]
    words += ["--runs", arguments.runs] if arguments.runs else []
    words += ["--size", arguments.size] if arguments.size != "published" else []
    return shlex.join(map(str, words))


if __name__ == "__main__":
    sys.exit(main())
