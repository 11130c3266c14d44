"""What the attention backend does."""

import pytest

from my_plugin.attention import MyComponent
from vartk_registry.testing import check_attention


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_the_number_of_rows_does_not_change_the_result(rows):
    check_attention(MyComponent(rows))
