"""Pages that mkdocs gets from the program itself: every command, every component, and the API.

mkdocs calls the functions `on_*` (see `hooks` in mkdocs.yml).
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vartk.cli.commands.show import parameter_row
from vartk.cli.main import COMMANDS, build_parser
from vartk.components import plugins
from vartk_registry import KINDS, ComponentSpec

API = {
    "vartk": "The functions and classes that `import vartk` gives.",
    "vartk_registry": "What a plugin imports.",
    "vartk_registry.interfaces": "What a component of each kind must offer.",
    "vartk_registry.testing": "The conformance kit.",
}
ELSEWHERE = {("vartk", "VartkError")}
"""Names that another page describes."""
OUTSIDE = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]+)(?:#[^)]*)?\)")


def pages() -> dict[str, str]:
    """Return the text of each generated page by its path."""
    made = {"reference/index.md": _index()}
    made |= {f"reference/commands/{name}.md": _command(name) for name in COMMANDS}
    for spec in plugins().registry.specs():
        made[f"reference/components/{spec.kind}/{spec.name}.md"] = _component(spec)
    made |= {f"reference/api/{module}.md": _api(module) for module in API}
    return made


def listed(nav: list[Any]) -> Iterator[str]:
    """Yield the pages of a navigation."""
    for entry in nav:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from [value] if isinstance(value, str) else listed(value)


def on_config(config: Any) -> Any:
    """Add to the navigation the generated pages, and under More those that mkdocs.yml does not list."""
    os.environ["COLUMNS"] = "100"  # of the help texts
    docs = Path(__file__).parent
    known = set(listed(config.nav))
    more = sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    if unlisted := [path for path in more if path not in known]:
        config.nav.append({"More": unlisted})
    components = [
        {
            kind: [
                {spec.name: f"reference/components/{kind}/{spec.name}.md"}
                for spec in plugins().registry.specs(kind)
            ]
        }
        for kind in KINDS
    ]
    config.nav += [
        {
            "Reference": [
                "reference/index.md",
                {"Commands": [{name: f"reference/commands/{name}.md"} for name in COMMANDS]},
                {"Components": components},
                {"API": [{module: f"reference/api/{module}.md"} for module in API]},
            ]
        }
    ]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Name what lies outside of the documentation by its path, since the site does not hold it."""
    folder = os.path.dirname(page.file.src_uri)

    def named(match: re.Match[str]) -> str:
        path = os.path.normpath(os.path.join("docs", folder, match[2]))
        if path.startswith("docs" + os.sep):
            return match[0]
        return match[1] if match[1].strip("`") == path else f"{match[1]} (`{path}`)"

    return OUTSIDE.sub(named, markdown)


def _index() -> str:
    commands = "\n".join(f"| [`{name}`](commands/{name}.md) | {text} |" for name, text in COMMANDS.items())
    kinds = "\n".join(f"| `{kind.name}` | {kind.summary} | {_names(kind.name)} |" for kind in KINDS.values())
    return (
        f"# Reference\n\n| command | what it does |\n|---|---|\n{commands}\n\n"
        f"| kind | what it is | components |\n|---|---|---|\n{kinds}\n"
    )


def _names(kind: str) -> str:
    return ", ".join(
        f"[{spec.name}](components/{kind}/{spec.name}.md)" for spec in plugins().registry.specs(kind)
    )


def _command(name: str) -> str:
    parts = [f"# vartk {name}\n"]
    for parser in _parsers(build_parser(name), name):
        title = f"## {parser.prog}\n\n" if parser.prog != f"vartk {name}" else ""
        parts.append(f"{title}```text\n{parser.format_help().rstrip()}\n```\n")
    return "\n".join(parts)


def _parsers(parser: argparse.ArgumentParser, name: str = "") -> Iterator[argparse.ArgumentParser]:
    """Yield the parser of a command and those of its sub-commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, sub in action.choices.items():
                if name in ("", word):
                    yield sub
                    yield from _parsers(sub)


def _component(spec: ComponentSpec) -> str:
    registry = plugins().registry
    lines = [f"# {spec.kind}/{spec.name}\n", f"{spec.summary[:1].upper()}{spec.summary[1:]}.\n"]
    if spec.aliases:
        lines.append(f"It is also called {', '.join(f'`{name}`' for name in spec.aliases)}.\n")
    if spec.requires:
        lines.append(f"It needs {', '.join(f'`{name}`' for name in spec.requires)}: {spec.install_hint}.\n")
    config = registry.config_class(spec)
    rows = [parameter_row(field) for field in dataclasses.fields(config)] if config else []
    if not rows:
        lines.append("It takes no parameters.\n")
    else:
        lines.append("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
        lines += ["| " + " | ".join(_cell(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _api(module: str) -> str:
    names = __import__(module, fromlist=["__all__"]).__all__
    wanted = [name for name in names if not name.startswith("__") and (module, name) not in ELSEWHERE]
    home = {"vartk": _lazy()}.get(module, {})
    parts = [f"# {module}\n\n{API[module]}\n"]
    parts += [f"::: {home.get(name, f'{module}.{name}')}\n" for name in wanted]
    return "\n".join(parts)


def _lazy() -> dict[str, str]:
    """Return where the names of `vartk` are defined, which it imports at first use."""
    import vartk

    return {name: ".".join(place) for name, place in vartk._LAZY.items()}
