"""Fills the templates in and writes the distribution."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vartk_registry import VartkError, shown

from ... import __version__
from ...components import plugins
from ...files import whole_folder
from .templates import TEMPLATES

_HERE = Path(__file__).parent
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class _Names:
    """What the new things are called: `vartk-frozen` is the module vartk_frozen and the name frozen."""

    distribution: str

    @property
    def module(self) -> str:
        return self.distribution.replace("-", "_")

    @property
    def component(self) -> str:
        return self.distribution.removeprefix("vartk-")

    def attribute(self, kind: str) -> str:
        """Return the name of a component's class, such as FrozenCache."""
        return "".join(word.capitalize() for word in (*self.component.split("-"), kind))

    def filled(self, text: str, kind: str = "") -> str:
        """Return a template's text with these names in the place of its own."""
        replaced = {
            "my_plugin": self.module,
            "my-plugin": self.distribution,
            "my-name": self.component,
            "MyComponent": self.attribute(kind),
            "MyParams": f"{self.attribute(kind)}Config",
        }
        return re.sub("|".join(replaced), lambda match: replaced[match[0]], text)


def new_plugin(distribution: str, kinds: Sequence[str], out: Path) -> list[Path]:
    """Write a distribution with one component of each kind; return its files, relative to `out`.

    Args:
        distribution: its name, lower case with hyphens; the components have the same, without `vartk-`.
        kinds: some of `KINDS`.
        out: the new folder.

    Raises:
        VartkError: the name is malformed or taken, or `out` exists.
    """
    names = _Names(distribution)
    _require_free(names, kinds)
    with whole_folder(out) as folder:
        for path, text in _files(names, kinds).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _require_free(names: _Names, kinds: Sequence[str]) -> None:
    if not _NAME.fullmatch(names.distribution) or keyword.iskeyword(names.module) or not names.component:
        raise VartkError(
            f"{shown(names.distribution)} cannot be the name of a distribution here; "
            "give lower case letters and digits with hyphens, such as vartk-frozen"
        )
    if importlib.util.find_spec(names.module) is not None:
        raise VartkError(
            f"there is a module {names.module} already; give another name than {names.distribution}"
        )
    registry = plugins().registry
    for kind in kinds:
        if names.component in registry.names(kind):
            owner = registry.origin(registry.find(kind, names.component))
            raise VartkError(f"{owner} has {kind}/{names.component} already; give another name")


def _files(names: _Names, kinds: Sequence[str]) -> dict[str, str]:
    """Return the content of each file by its path."""
    files = {
        "pyproject.toml": _filled("pyproject.toml", names, kinds),
        "README.md": _filled("README.md", names, kinds),
        f"{names.module}/__init__.py": _filled("hooks.py", names, kinds),
        f"{names.module}/config.py": _parameters(names, kinds),
        "tests/test_contract.py": _filled("contract.py", names, kinds),
    }
    for kind in kinds:
        for template, path in (
            ("component", f"{names.module}/{kind}.py"),
            ("behaviour", f"tests/test_{kind}.py"),
        ):
            files[path] = names.filled((_HERE / "kinds" / kind / f"{template}.py").read_text(), kind)
    return files


def _filled(template: str, names: _Names, kinds: Sequence[str]) -> str:
    """Return a file about all components; `<ROWS>` and the like in its template stand for a part of each."""
    text = (_HERE / "distribution" / f"{template}.txt").read_text()
    parts = {
        "COMPONENTS": ", ".join(f"{kind} `{names.component}`" for kind in kinds),
        "VERSION": __version__,
        "SPECS": "".join(_spec(names, kind) for kind in kinds),
        "ROWS": "\n".join(
            f"| `{kind}/{names.component}` | {TEMPLATES[kind].summary} | `{names.module}/{kind}.py` |"
            for kind in kinds
        ),
        "USES": "\n".join(TEMPLATES[kind].use for kind in kinds),
    }
    for name, part in parts.items():
        text = text.replace(f"<{name}>", part)
    return names.filled(text)


def _spec(names: _Names, kind: str) -> str:
    template = TEMPLATES[kind]
    lines = [
        f'kind="{kind}",',
        'name="my-name",',
        f'target="my_plugin.{kind}:{names.attribute(kind)}",',
        f'config="my_plugin.config:{names.attribute(kind)}Config",',
        f'summary="{template.summary}",',
    ]
    if template.check_with:
        lines.append(f"check_with={template.check_with!r},".replace("'", '"'))
    inside = "".join(f"            {line}\n" for line in lines)
    return f"        ComponentSpec(\n{inside}        ),\n"


def _parameters(names: _Names, kinds: Sequence[str]) -> str:
    """Return the module of all parameters: one head, and a dataclass of each kind."""
    text = '"""The parameters: types, defaults, ranges and help."""\n\n'
    for index, kind in enumerate(kinds):
        template = (_HERE / "kinds" / kind / "parameters.py").read_text()
        dataclass_only = template[template.index("@dataclass") :]
        text += names.filled(f"\n\n{dataclass_only}" if index else template, kind)
    return text
