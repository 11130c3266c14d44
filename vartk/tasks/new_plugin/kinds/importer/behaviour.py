"""What the importer reads."""

import pytest
import torch
from safetensors.torch import save_file

from my_plugin.importer import MyComponent
from vartk_registry import VartkError
from vartk_registry.testing import check_importer


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "tokenizer.safetensors", tmp_path / "transformer.safetensors"]
    for path in paths:
        save_file({"model.head.weight": torch.ones(2)}, path)
    return paths


def test_weights_lose_the_prefix(files):
    importer = MyComponent(prefix="model.")
    check_importer(importer, *files)
    assert list(importer(*files).tokenizer) == ["head.weight"]


def test_another_prefix_is_refused(files):
    with pytest.raises(VartkError, match=r"does not begin with 'net\.'"):
        MyComponent(prefix="net.")(*files)
