"""What the conditioner does."""

import pytest

from my_plugin.conditioner import MyComponent
from vartk_registry import VartkError

CONDITIONER = MyComponent(width=4, classes=["cat", "dog"], std=0.02)


def test_classes_are_given_by_name_or_index():
    assert CONDITIONER.parse(["dog", 0, "1", None]).tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize(
    ("value", "message"), [("dgo", "did you mean 'dog'?"), (2, "class 2 is out of range")]
)
def test_other_classes_are_refused(value, message):
    with pytest.raises(VartkError, match=message.replace("?", r"\?")):
        CONDITIONER.parse([value])
