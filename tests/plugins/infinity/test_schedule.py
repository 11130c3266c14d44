"""The schedule `infinity` against the original's table."""

import json

import golden
import pytest

from vartk_registry import ParamErrors, discover
from vartk_registry.interfaces import Schedule
from vartk_registry.testing import check_schedule

REGISTRY = discover(["vartk_plugins.schedules"]).registry
TABLE = json.loads((golden.FOLDER / "infinity_schedules.json").read_text())
CASES = [(ratio, pixels) for ratio, budgets in TABLE.items() for pixels in budgets]


def build(**params):
    return REGISTRY.build("schedule", "infinity", params)


def expected(ratio, pixels, patch=1):
    def grids(pixels):
        return [(patch * h, patch * w) for h, w in TABLE[ratio][pixels]["grids"]]

    return Schedule(tuple(grids(pixels)), grids("1M")[-1])


@pytest.mark.parametrize(("ratio", "pixels"), CASES)
def test_the_original_table_by_ratio_and_pixels_and_by_image_size(ratio, pixels):
    given = build(ratio=float(ratio), pixels=pixels)
    assert given((16, 16)) == expected(ratio, pixels)  # whatever the latent
    h, w = TABLE[ratio][pixels]["pixels"]
    assert build()((h // 16, w // 16)) == expected(ratio, pixels)
    assert build(patch=2)((h // 8, w // 8)) == expected(ratio, pixels, patch=2)
    check_schedule(build(), (h // 16, w // 16))


@pytest.mark.parametrize(
    ("latent", "ratio", "pixels"),
    [
        ((40, 30), "1.333", "0.25M"),
        ((64, 62), "1.0", "1M"),
        ((24, 90), "0.333", "0.60M"),
        ((200, 20), "3.0", "1M"),
    ],
)
def test_other_sizes_take_the_nearest_ratio_and_area(latent, ratio, pixels):
    assert build()(latent) == expected(ratio, pixels)


def test_half_way_between_two_ratios_the_first_of_the_table_is_taken():
    assert build(ratio=1.125, pixels="1M")((1, 1)) == expected("1.0", "1M")
    assert build(ratio=2.25, pixels="1M")((1, 1)) == expected("2.0", "1M")


def test_another_number_of_pixels_is_refused():
    with pytest.raises(ParamErrors, match="pixels='2M'; did you mean"):
        build(pixels="2M")
