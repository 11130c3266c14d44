import pytest
import torch
from tiny import tiny_model

from vartk.engine.codes import check_codes, latents, split, teacher_inputs
from vartk_registry import VartkError
from vartk_registry.interfaces import CodeSpace, Schedule

SCHEDULE = Schedule.of([1, 2, 4])


def codes_of(schedule=SCHEDULE, batch=2, classes=24):
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(classes, (batch, size), generator=generator) for size in schedule.sizes]


def test_the_last_latent_is_the_sum_of_what_each_scale_adds():
    model, codes = tiny_model(), codes_of()
    made = list(latents(model.tokenizer, codes, SCHEDULE))
    assert [f_hat.shape for f_hat in made] == [(2, 8, 4, 4)] * 3
    alone = [
        model.tokenizer.accumulate(None, model.tokenizer.embed(code), step, SCHEDULE)
        for step, code in enumerate(codes)
    ]
    assert torch.allclose(made[-1], sum(alone), atol=1e-6)


def test_teacher_inputs_are_means_of_the_latent_so_far():
    model, codes = tiny_model(), codes_of()
    inputs = teacher_inputs(model.tokenizer, codes, SCHEDULE)
    first, second, _ = latents(model.tokenizer, codes, SCHEDULE)
    assert inputs.shape == (2, 20, 8)
    corner = first[:, :, :2, :2].mean((2, 3))  # the first of 2x2 cells of a 4x4 map
    assert torch.allclose(inputs[:, 0], corner, atol=1e-6)
    assert torch.allclose(inputs[:, 4:], second.flatten(2).transpose(1, 2), atol=1e-6)
    assert not inputs.requires_grad


def test_one_scale_has_no_teacher_inputs():
    model = tiny_model(schedule={"name": "custom", "grids": [4]})
    assert teacher_inputs(model.tokenizer, codes_of(Schedule.of([4])), Schedule.of([4])).shape == (2, 0, 8)


def test_split_undoes_concatenation():
    codes = codes_of()
    again = split(torch.cat(codes, dim=1), SCHEDULE)
    assert all(torch.equal(a, b) for a, b in zip(again, codes, strict=True))


def test_fewer_scales_fit_too():
    check_codes(codes_of()[:2], SCHEDULE, CodeSpace(24))


def test_codes_of_several_integers_each():
    codes = [torch.zeros(2, size, 6, dtype=torch.uint8) for size in SCHEDULE.sizes]
    check_codes(codes, SCHEDULE, CodeSpace(2, (6,)))
    with pytest.raises(VartkError, match=r"each scale has \[N, tokens, 5\], tokens = \[1, 4, 16\]"):
        check_codes(codes, SCHEDULE, CodeSpace(2, (5,)))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([], r"shapes \[\] do not fit the schedule 1, 2, 4"),
        (codes_of(Schedule.of([1, 3])), r"shapes \[\(2, 1\), \(2, 9\)\] do not fit"),
        ([torch.zeros(2, 1), torch.zeros(3, 4)], "do not fit"),
        ([*codes_of(), torch.zeros(2, 64)], "do not fit"),
        ([torch.tensor([[24]])], "scale 0 are not integers from 0 to 23"),
        ([torch.tensor([[0]]), torch.tensor([[0, 1, -1, 2]])], "scale 1 are not"),
        ([torch.tensor([[0.5]])], "scale 0 are not integers"),
    ],
)
def test_codes_that_do_not_fit(codes, message):
    with pytest.raises(VartkError, match=message):
        check_codes(codes, SCHEDULE, CodeSpace(24))
