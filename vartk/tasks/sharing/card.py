"""Model cards: what a model is, how it is used and measured, and pictures that it made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from vartk_registry import VartkError

from ...files import whole_file
from ...hub import find_model, load
from ...images import labelled_grid, save_image

CARD = "README.md"
PICTURE = "samples.png"
SAMPLES = 16
"""Images in the card's picture."""


@dataclass(frozen=True)
class Card:
    """A card's text, which begins with what the hub reads, and its picture if the model can draw one."""

    text: str
    picture: Image.Image | None

    def write(self, folder: Path) -> list[Path]:
        """Write the files into a folder, each whole or not at all, and return them."""
        written = [folder / CARD]
        with whole_file(folder / CARD) as aside:
            aside.write_text(self.text)
        if self.picture is not None:
            save_image(self.picture, folder / PICTURE)
            written.append(folder / PICTURE)
        return written


def is_card(path: Path) -> bool:
    """Return whether a file is a model card that says what the hub reads, so that nobody's text is lost."""
    return path.is_file() and path.read_text(errors="replace").startswith("---\n")


def make_card(
    name: str,
    title: str,
    *,
    licence: str | None = None,
    evaluation: Path | None = None,
    device: Any = "auto",
) -> Card:
    """Make a card.

    Args:
        name: the model, as for `vartk.load`; of a run, the card holds its training configuration too.
        title: what the model is loaded by: the name of a folder, or of a repository.
        licence: an identifier such as "mit".
        evaluation: the folder that `vartk eval --out` wrote.

    Raises:
        VartkError: there is no such model or evaluation.
    """
    folder, model = find_model(name), load(name, device=device)
    names = [model.classes[i % len(model.classes)] for i in range(SAMPLES)] if model.classes else []
    can_draw = bool(names) and getattr(model, "predictor", model) is not None
    takes = model.takes if can_draw else ""
    labels = [(name, None) for name in names] if takes == "both" else names
    picture = None
    if can_draw:
        picture = labelled_grid(model.sample(labels, seed=0).images, names, columns=8)
    parts = [_head(licence, takes), f"# {title.rpartition('/')[2]}\n\nA next-scale image model for vartk.\n"]
    if picture is not None:
        parts.append(f"![{SAMPLES} samples, seeds 0 to {SAMPLES - 1}]({PICTURE})\n")
    parts.append(_use(title, labels[:2]))
    parts.append(f"## What it is made of\n\n```text\n{model!r}\n```\n")
    parts.append(f"## Configuration\n\n```yaml\n{(folder / 'model.yaml').read_text().rstrip()}\n```\n")
    if evaluation is not None:
        parts.append(f"## Evaluation\n\n{_report(evaluation)}\n")
    if (run := folder.parent / "config.yaml").is_file() and folder.name == "model":
        parts.append(f"## Training\n\nThe whole experiment:\n\n```yaml\n{run.read_text().rstrip()}\n```\n")
    return Card("\n".join(parts), picture)


def _head(licence: str | None, takes: str) -> str:
    """Return the lines that the hub reads."""
    task = "text-to-image" if takes in ("caption", "both") else "unconditional-image-generation"
    lines = [*([f"license: {licence}"] if licence else []), "library_name: vartk", f"pipeline_tag: {task}"]
    tags = "".join(f"\n- {tag}" for tag in ("vartk", "visual-autoregressive", "next-scale-prediction"))
    return "---\n" + "\n".join(lines) + f"\ntags:{tags}\n---\n"


def _use(title: str, labels: Sequence[Any]) -> str:
    lines = ["import vartk", "", f'model = vartk.load("{title}")']
    if labels:
        lines.append(f"samples = model.sample({list(labels)!r}, seed=0)".replace("'", '"'))
    return "```python\n" + "\n".join(lines) + "\n```\n"


def _report(evaluation: Path) -> str:
    """Return the report of an evaluation without its pictures and its title."""
    path = evaluation / "report.md"
    if not path.is_file():
        raise VartkError(f"{evaluation} holds no report.md; give the folder that `vartk eval --out` wrote")
    lines = [line for line in path.read_text().splitlines() if not line.startswith(("![", "# "))]
    return "\n".join(lines).strip()
