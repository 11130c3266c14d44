"""What the schedule does: numbers worked out by hand."""

import pytest

from my_plugin.schedule import MyComponent


@pytest.mark.parametrize(
    ("ratio", "latent", "grids"),
    [
        (2.0, (8, 8), [(1, 1), (2, 2), (4, 4), (8, 8)]),
        (2.0, (4, 8), [(1, 1), (1, 2), (2, 4), (4, 8)]),
        (4.0, (8, 8), [(1, 1), (2, 2), (8, 8)]),
    ],
)
def test_each_scale_is_the_next_finer_one_divided(ratio, latent, grids):
    assert list(MyComponent(ratio)(latent).grids) == grids
