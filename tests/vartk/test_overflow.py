import pytest
import torch
from tiny import tiny_model

from vartk_registry import VartkError


def broken(part, value):
    """A tiny model with one weight that is not finite, as a broken training leaves it."""
    model = tiny_model()
    weights = dict(getattr(model, part).named_parameters())
    ends = ("blocks.1.ffn.fc2.weight", "decoder.conv_out.weight")
    name = next(name for name in weights if name.endswith(ends))
    weights[name].data.view(-1)[0] = value
    return model


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("sampler", ["categorical", "greedy", "gumbel_smooth"])
def test_logits_that_are_not_finite_are_an_error_that_names_the_scale(value, sampler):
    with pytest.raises(VartkError, match=r"scale 1 of 3: the logits are NaN or infinite: a weight"):
        broken("predictor", value).sample([0, 1], sampler=sampler)


def test_a_stream_whose_images_nobody_looks_at_ends_with_the_error():
    with pytest.raises(VartkError, match="scale 1 of 3"):
        list(broken("predictor", float("nan")).stream([0]))


def test_an_overflow_at_a_later_scale_names_that_scale():
    model = tiny_model()
    states = model.stream([0])
    next(states).vectors = torch.full((1, 1, 8), torch.nan)
    with pytest.raises(VartkError, match="scale 2 of 3"):
        list(states)


def test_images_that_are_not_finite_are_an_error():
    with pytest.raises(VartkError, match="the decoded images are NaN or infinite"):
        broken("tokenizer", float("nan")).sample([0])
