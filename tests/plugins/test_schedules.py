import pytest

from vartk_registry import ParamErrors, VartkError, discover
from vartk_registry.interfaces import Schedule
from vartk_registry.testing import check_schedule

registry = discover(["vartk_plugins.schedules"]).registry


def schedule(name, latent, **params):
    return registry.build("schedule", name, params)(latent)


@pytest.mark.parametrize(
    ("name", "side", "scales", "tokens"),
    [("var-256", 16, 10, 680), ("var-512", 32, 10, 2240), ("var-1024", 64, 14, 9451)],
)
def test_the_published_schedules_have_the_published_token_counts(name, side, scales, tokens):
    published = schedule(name, (side, side))
    assert (len(published), published.total) == (scales, tokens)
    assert published.latent == (side, side)


def test_the_256_px_schedule_is_the_papers():
    assert str(schedule("var-256", (16, 16))) == "1, 2, 3, 4, 5, 6, 8, 10, 13, 16"


def test_a_published_schedule_takes_on_the_ratio_of_a_latent_of_its_area():
    # each side by hand: 12 ** (log s / log 16) and 20 ** (log s / log 16) for s of 1, 2, 3, ...
    assert str(schedule("var-256", (12, 20))) == "1, 2, 3, 3x4, 4x6, 5x7, 6x9, 8x12, 10x16, 12x20"
    assert schedule("var-512", (20, 52)).latent == (20, 52)
    assert len(schedule("var-1024", (48, 84))) == 14


@pytest.mark.parametrize("latent", [(32, 32), (15, 15), (16, 24), (1, 16)])
def test_a_published_schedule_stays_where_the_area_is_another(latent):
    assert schedule("var-256", latent).latent == (16, 16)


@pytest.mark.parametrize("latent", [(1, 1), (1, 16), (7, 5), (24, 32), (64, 64)])
@pytest.mark.parametrize("grids", [[1, 2, 4], [1, 1, 1, 2, 4, 8, 16], [2, [3, 5]], [1]])
def test_a_schedule_can_be_resized_for_any_latent(grids, latent):
    made = Schedule.of(grids).resized(latent)
    assert (len(made), made.latent) == (len(grids), latent)
    check_schedule(lambda _: made, latent)


def test_a_resized_schedule_keeps_even_sides_even():
    """Patches of 2x2 codes must still tile them."""
    assert str(Schedule.of([1, 1, 2, 4, 8, 16]).resized((32, 24))) == "1, 1, 2, 6x4, 14x10, 32x24"


def test_a_reference_grid_grows_with_the_latent():
    made = Schedule(((1, 1), (4, 4)), reference=(16, 16)).resized((4, 8))
    assert (made.grids, made.reference) == (((1, 1), (4, 8)), (16, 32))


def test_powers_of_four_halve_the_latent_rounding_up():
    assert schedule("powers-of-four", (8, 8)).sizes == (1, 4, 16, 64)
    assert str(schedule("powers-of-four", (8, 16))) == "1, 1x2, 2x4, 4x8, 8x16"
    assert str(schedule("powers-of-four", (5, 3))) == "1, 2x1, 3x2, 5x3"


def test_geometric_grows_by_a_constant_factor():
    assert str(schedule("geometric", (16, 16), steps=5)) == "1, 2, 4, 8, 16"
    # 16 ** (k / 9) is 1, 1.4, 1.9, 2.5, 3.4, 4.7, 6.3, 8.6, 11.8, 16: the first ones are raised
    assert str(schedule("geometric", (16, 16))) == "1, 2, 3, 4, 5, 6, 7, 9, 12, 16"


def test_linear_grows_by_a_constant_step():
    assert str(schedule("linear", (16, 16), steps=4)) == "1, 6, 11, 16"
    assert str(schedule("linear", (4, 4), steps=3)) == "1, 3, 4"  # 2.5 rounds up


def test_a_side_latent_keeps_its_proportions():
    assert str(schedule("geometric", (8, 16), steps=5)) == "1, 1x2, 2x4, 4x8, 8x16"
    assert str(schedule("linear", (16, 8), steps=4)) == "1, 6x3, 11x6, 16x8"


@pytest.mark.parametrize("name", ["geometric", "linear"])
@pytest.mark.parametrize("latent", [(1, 1), (1, 16), (7, 7), (15, 16), (64, 24)])
def test_growing_schedules_fit_any_latent_with_any_number_of_steps(name, latent):
    for steps in (None, *range(1, max(latent) + 1)):
        made = schedule(name, latent, steps=steps)
        assert len(made) == (steps or min(10, max(latent)))
        assert made.latent == latent
        longest = [max(grid) for grid in made.grids]
        assert longest == sorted(set(longest))
        assert len(made) == 1 or made.grids[0] == (1, 1)


@pytest.mark.parametrize("name", ["geometric", "linear"])
def test_too_many_steps_name_the_most_that_fit(name):
    with pytest.raises(VartkError, match=r"9 steps do not fit a latent of 4x8.* at most 8"):
        schedule(name, (4, 8), steps=9)


def test_steps_below_one_are_refused():
    with pytest.raises(ParamErrors, match="steps=0 is out of range; it must be at least 1"):
        schedule("linear", (4, 4), steps=0)


def test_custom_takes_sides_and_pairs():
    assert schedule("custom", (4, 8), grids=[1, 2, [2, 4], [4, 8]]) == Schedule(
        ((1, 1), (2, 2), (2, 4), (4, 8))
    )


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ([], "needs grids"),
        ([1, "big"], r"grids\[1\] is 'big'; give a side such as 4"),
        ([1, [2, 3, 4]], r"grids\[1\] is \[2, 3, 4\]"),
        ([0], r"grids\[0\] is 0.*whole numbers from 1"),
        ([1, 2.5], r"grids\[1\] is 2.5"),
        ([True], r"grids\[0\] is True"),
        ([1, [2, None]], r"grids\[1\] is \[2, None\]"),
        ([1, 4, [2, 8]], r"grids\[2\] is 2x8, smaller than the 4x4 before it"),
    ],
)
def test_custom_names_the_entry_that_is_wrong(grids, message):
    with pytest.raises(VartkError, match=message):
        registry.build("schedule", "custom", {"grids": grids})


def test_raster_is_a_token_a_step():
    made = schedule("raster", (2, 3))
    assert (len(made), made.sizes, made.shapes) == (6, (1,) * 6, ((1, 1),) * 6)
    assert made.spans == ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6))
    assert (made.latent, made.total, made.levels) == ((2, 3), 6, [0] * 6)
    assert made.scales == Schedule(((2, 3),))
    assert str(made) == "2x3 in raster order"


def test_raster_takes_the_tokens_of_several_scales_one_after_another():
    made = schedule("raster", (2, 2), grids=[1, 2])
    assert (len(made), made.levels, made.scales.sizes) == (5, [0, 1, 1, 1, 1], (1, 4))


def test_raster_names_the_entry_that_is_wrong():
    with pytest.raises(VartkError, match=r"schedule 'raster': grids\[1\] is 1x1, smaller than the 2x2"):
        registry.build("schedule", "raster", {"grids": [2, 1]})


@pytest.mark.parametrize("name", ["powers-of-four", "geometric", "linear", "raster"])
def test_schedules_conform(name):
    check_schedule(registry.build("schedule", name, {}), (6, 10))
