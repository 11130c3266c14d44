"""The documentation site: pages that are generated from the program, and links out of the documentation.

`.ci/run` builds the site strictly, so that a broken link or an unknown name ends it.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from vartk.cli.main import COMMANDS
from vartk.components import plugins

ROOT = Path(__file__).parents[1]
SITE = runpy.run_path(str(ROOT / "docs" / "site.py"))


@pytest.fixture(scope="module")
def pages():
    return SITE["pages"]()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_page_with_its_help(command, pages):
    page = pages[f"reference/commands/{command}.md"]
    assert page.startswith(f"# vartk {command}\n")
    assert f"usage: vartk {command}" in page
    assert "examples:" in page


def test_sub_commands_are_on_the_page_of_their_command(pages):
    assert "## vartk bench attention" in pages["reference/commands/bench.md"]


def test_every_component_has_a_page_with_its_parameters(pages):
    for spec in plugins().registry.specs():
        assert pages[f"reference/components/{spec.kind}/{spec.name}.md"].startswith(
            f"# {spec.kind}/{spec.name}\n"
        )
    page = pages["reference/components/sampler/categorical.md"]
    (row,) = [line for line in page.splitlines() if line.startswith("| top_p |")]
    assert "| float | 0.0 | at least 0 and at most 1 |" in row


def test_the_api_names_where_lazy_names_are_defined(pages):
    assert "::: vartk.hub.load\n" in pages["reference/api/vartk.md"]
    assert "::: vartk_registry.param\n" in pages["reference/api/vartk_registry.md"]


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("[an example](../examples/vartk-hello)", "an example (`examples/vartk-hello`)"),
        ("[CHANGELOG.md](../CHANGELOG.md)", "CHANGELOG.md"),
        ("[caches](caches.md#your-own)", "[caches](caches.md#your-own)"),
    ],
)
def test_links_out_of_the_documentation_become_paths(markdown, shown):
    page = SimpleNamespace(file=SimpleNamespace(src_uri="plugins.md"))
    assert SITE["on_page_markdown"](markdown, page, None, None) == shown


def test_every_page_is_in_the_navigation():
    config = SimpleNamespace(nav=yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    pages = list(SITE["listed"](SITE["on_config"](config).nav))
    docs = ROOT / "docs"
    written = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    assert {page for page in pages if not page.startswith("reference/")} == written
    assert {page for page in pages if page.startswith("reference/")} == set(SITE["pages"]())
    assert len(pages) == len(set(pages))
