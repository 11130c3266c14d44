import math

import numpy as np
import pytest
import torch

from vartk_registry import VartkError, discover

NAMES = ["crane", "Red Fox", "7", "red panda", "Crane", "eel", "eel", "Ibis", "IBIS"]


@pytest.fixture(scope="module")
def registry():
    return discover(["vartk_plugins.class_conditioner"]).registry


@pytest.fixture
def named(registry):
    return registry.build("conditioner", "class", {}, width=6, classes=NAMES)


def test_a_class_is_its_row_and_the_null_class_the_last(named):
    assert named.embedding.weight.shape == (10, 6)
    condition = named(torch.tensor([3, 9]))
    assert torch.equal(condition.vector, named.embedding.weight[[3, 9]])
    assert condition.tokens is None
    assert torch.equal(named.null(2), torch.tensor([9, 9]))


def test_parse_takes_indices_digits_and_names(named):
    values = [0, np.int64(8), "5", "red fox", "crane", "Crane", " Ibis "]
    assert named.parse(values).tolist() == [0, 8, 5, 1, 0, 4, 7]
    assert named.parse(["7"]).tolist() == [2]  # a class may be named by digits
    assert named.parse([]).shape == (0,)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("red pander", "unknown class 'red pander'; did you mean 'red panda'?"),
        ("eel", "class 'eel' is the name of 5, 6; give the index instead"),
        ("CRANE", "class 'CRANE' is the name of 0, 4; give the index instead"),
        (9, "class 9 is out of range; give an index from 0 to 8"),
        ("9", "class 9 is out of range"),
        (-1, "class -1 is out of range"),
        (1.5, "class 1.5 is neither an index nor a name"),
        (True, "class True is neither an index nor a name"),
    ],
)
def test_parse_refuses(named, value, message):
    with pytest.raises(VartkError) as error:
        named.parse([0, value])
    assert message in str(error.value)


def test_classes_without_names(registry):
    conditioner = registry.build("conditioner", "class", {"count": 10}, width=4, classes=())
    assert conditioner.parse(["9", 0]).tolist() == [9, 0]
    with pytest.raises(VartkError, match="unknown class 'fox'; give an index from 0 to 9"):
        conditioner.parse(["fox"])


def test_drop_puts_the_null_class(named):
    batch = torch.tensor([1, 2, 3])
    dropped = named.drop(batch, torch.tensor([True, False, True]))
    assert dropped.tolist() == [9, 2, 9]
    assert dropped.dtype == batch.dtype
    assert batch.tolist() == [1, 2, 3]


def test_count_and_names_must_agree(registry):
    with pytest.raises(VartkError, match="needs the names of the classes, or count=N"):
        registry.build("conditioner", "class", {}, width=4, classes=())
    with pytest.raises(VartkError, match="count=3, but 9 names are given"):
        registry.build("conditioner", "class", {"count": 3}, width=4, classes=NAMES)


def test_initial_spread(registry):
    torch.manual_seed(0)
    conditioner = registry.build("conditioner", "class", {"count": 500}, width=64, classes=())
    expected = math.sqrt(1 / (3 * 64))
    assert conditioner.embedding.weight.std().item() == pytest.approx(expected, rel=0.02)
