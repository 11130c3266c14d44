"""Weights that are NaN or infinite: named wherever a model is read or written."""

import math

import pytest
import torch
from tiny import tiny_model
from torch import nn

import vartk as package
from vartk.engine.folder import save_model
from vartk.engine.weights import check_finite
from vartk.files import load_tensors, save_tensors
from vartk_registry import VartkError

HEAD = "transformer.head.bias"


@pytest.fixture
def broken(tmp_path):
    """Write a model folder with values in its head's bias, and return the folder."""

    def write(*values, dtype=torch.float32):
        folder = tmp_path / "model"
        save_model(tiny_model(), folder)
        file = folder / "transformer.safetensors"
        tensors = {name: tensor.to(dtype) for name, tensor in load_tensors(file).items()}
        tensors[HEAD][: len(values)] = torch.tensor(values)
        save_tensors(tensors, file)
        return folder

    return write


def test_a_model_with_weights_that_are_not_finite_is_not_loaded(broken):
    folder = broken(math.nan, math.inf, -math.inf)
    with pytest.raises(VartkError) as caught:
        package.load(folder)
    assert str(caught.value) == (
        f"{folder}/transformer.safetensors has weights that are not finite: {HEAD} "
        "(1 NaN and 2 infinite of 24 values); take an earlier checkpoint of the training run"
    )


def test_what_overflowed_float16_can_be_saved_otherwise(broken):
    with pytest.raises(VartkError, match=r"\(2 infinite of 24 values\).* save them in bfloat16 or float32"):
        package.load(broken(math.inf, math.inf, dtype=torch.float16))


@pytest.mark.parametrize("words", [["sample"], ["eval", "dataset=emoji64"]])
def test_the_commands_name_them(words, broken, refused, tmp_path):
    command, *settings = words
    message = refused(command, broken(math.nan), *settings, "--out", tmp_path / "out")
    assert f"{HEAD} (1 NaN of 24 values)" in message
    assert not (tmp_path / "out").exists()


def test_a_model_is_not_saved_in_a_precision_that_cannot_hold_it(tmp_path):
    model = tiny_model()
    model.predictor.state_dict()[HEAD][3] = 1e5
    with pytest.raises(VartkError, match=rf"save in float16 .*{HEAD} \(1 infinite of 24 values\).*bfloat16"):
        save_model(model, tmp_path / "model", dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []
    save_model(model, tmp_path / "model", dtype=torch.bfloat16)
    assert package.load(tmp_path / "model").predictor.state_dict()[HEAD][3] == pytest.approx(1e5, rel=0.01)


def test_many_tensors_are_counted():
    module = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    state = {name: torch.full_like(tensor, math.nan) for name, tensor in module.state_dict().items()}
    with pytest.raises(VartkError, match=r"0\.weight \(4 NaN of 4 values\), 0\.bias .* and 3 more;"):
        check_finite(module, state, "it")


def test_buffers_may_be_infinite_but_not_nan():
    module = nn.Module()
    module.register_buffer("mask", torch.tensor([0, -math.inf]))
    check_finite(module, module.state_dict(), "it")
    module.mask[0] = math.nan
    with pytest.raises(VartkError, match=r"mask \(1 NaN of 2 values\)"):
        check_finite(module, module.state_dict(), "it")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_point_type(dtype):
    module = nn.Linear(3, 2)
    module.register_buffer("count", torch.tensor(3))
    state = {name: tensor.to(dtype) for name, tensor in module.named_parameters()}
    check_finite(module, state, "it")
    state["bias"] = torch.tensor([math.nan, 0]).to(dtype)
    with pytest.raises(VartkError, match=r"it has weights that are not finite: bias \(1 NaN of 2 values\)"):
        check_finite(module, state, "it")
