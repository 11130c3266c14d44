"""Classes by index or name."""

import pytest

from vartk_registry import VartkError, class_index

MANY = [f"breed {index}" for index in range(30)] + ["golden retriever"]


@pytest.mark.parametrize(
    ("value", "names", "count", "expected"),
    [
        (2, ["a", "b", "c"], None, 2),
        ("2", ["a", "b", "c"], None, 2),
        (" c ", ["a", "b", "c"], None, 2),
        ("C", ["a", "b", "c"], None, 2),
        ("C", ["c", "C"], None, 1),
        ("1", ["0", "2", "1"], None, 2),  # a name before an index
        ("4", [], 5, 4),
    ],
)
def test_a_class_is_found(value, names, count, expected):
    assert class_index(value, names, count) == expected


@pytest.mark.parametrize(
    ("value", "names", "count", "message"),
    [
        (3, ["a", "b", "c"], None, "class 3 is out of range; give an index from 0 to 2"),
        (-1, ["a"], None, "class -1 is out of range"),
        ("7", ["a"], None, "class 7 is out of range; give an index from 0 to 0"),
        ("dog", [], 5, "unknown class 'dog'; give an index from 0 to 4"),
        ("aple", ["apple", "pear"], None, "unknown class 'aple'; did you mean 'apple'? Valid: apple, pear"),
        ("A", ["a", "a"], None, "class 'A' is the name of 0, 1; give the index instead"),
        (1.0, ["a", "b"], None, "class 1.0 is neither an index nor a name"),
        (True, ["a", "b"], None, "class True is neither an index nor a name"),
        (None, ["a", "b"], None, "class None is neither an index nor a name"),
    ],
)
def test_a_wrong_class_is_refused(value, names, count, message):
    with pytest.raises(VartkError) as refused:
        class_index(value, names, count)
    assert message in str(refused.value)


def test_the_nearest_of_many_names_is_found_though_not_all_are_listed():
    with pytest.raises(VartkError) as refused:
        class_index("golden retreiver", MANY)
    message = str(refused.value)
    assert "did you mean 'golden retriever'?" in message
    assert message.endswith("and 11 more")
    assert message.count(",") == 20
