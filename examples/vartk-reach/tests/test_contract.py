"""The plugin loads, and its components keep the contract of vartk."""

import pytest

from vartk_registry import discover
from vartk_registry.testing import check_component

FOUND = discover(["vartk_reach"], group="none")


def test_the_plugin_loads():
    assert FOUND.reports[0].ok, FOUND.reports[0].details


@pytest.mark.parametrize("kind", [spec.kind for spec in FOUND.registry.specs()])
def test_a_component_keeps_the_contract(kind):
    check_component(FOUND.registry, kind, "reach")
