import pytest
import torch
from tiny import tiny_model

import vartk
from vartk.components import plugins
from vartk.engine.codes import latents, teacher_inputs
from vartk.engine.data import Images
from vartk.engine.training.correction import with_mistakes
from vartk_registry.interfaces import Schedule

SCHEDULE = Schedule.of([1, 1, 2, 4])
QUANTIZERS = [{"name": "vq", "classes": 24}, {"name": "bsq"}]


def made(quantizer, images=6):
    """A tokenizer, and the codes that it gives random images."""
    model = tiny_model(quantizer=quantizer, schedule={"name": "custom", "grids": [1, 1, 2, 4]})
    generator = torch.Generator().manual_seed(1)
    codes = model.tokenizer.encode(torch.rand(images, 3, 16, 16, generator=generator) * 2 - 1, SCHEDULE)
    return model.tokenizer, codes


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=lambda slot: slot["name"])
def test_right_codes_are_those_of_what_the_wrong_ones_leave(quantizer):
    tokenizer, codes = made(quantizer)
    torch.manual_seed(0)
    given, right, _ = with_mistakes(tokenizer, codes, SCHEDULE, 0.8)
    assert torch.equal(right[0], codes[0])
    (*_, latent) = latents(tokenizer, codes, SCHEDULE)
    before, wrong_before = None, torch.zeros(len(latent), dtype=torch.bool)
    seen = 0
    for step, f_hat in enumerate(latents(tokenizer, given, SCHEDULE)):
        for image in range(len(latent)):
            if wrong_before[image]:
                left = (latent - before)[image : image + 1]
                assert torch.equal(right[step][image], tokenizer.code(left, step, SCHEDULE)[0])
                seen += 1
            else:
                assert torch.equal(right[step][image], codes[step][image])
        wrong_before |= (given[step] != right[step]).flatten(1).any(1)
        before = f_hat
    assert seen > 3


def test_mistakes_are_codes_of_other_images_at_the_same_place():
    tokenizer, codes = made(QUANTIZERS[0])
    torch.manual_seed(0)
    given, right, _ = with_mistakes(tokenizer, codes, SCHEDULE, 1.0)
    wrong = [a != b for a, b in zip(given, right, strict=True)]
    for step, mask in enumerate(wrong):
        image, place = mask.nonzero(as_tuple=True)
        others = codes[step][:, place]
        assert (others == given[step][image, place]).any(0).all()
    share = torch.cat(wrong, dim=1).float().mean().item()
    assert 0.2 < share < 0.6  # half of them in the mean, less where both images have the same code


def test_finer_scales_mend_what_is_wrong():
    # after the same mistakes, the right finer codes come nearer to the image than the first ones
    model = vartk.load("emoji64")
    tokenizer, schedule = model.tokenizer, model.schedule
    dataset = plugins().registry.build("dataset", "emoji64", {}, split="validation")
    images = Images(dataset, (64, 64))
    codes = model.encode(torch.stack([images[index] for index in range(0, 700, 50)]))
    torch.manual_seed(0)
    given, right, _ = with_mistakes(tokenizer, codes, schedule, 0.5)
    (*_, latent) = latents(tokenizer, codes, schedule)

    def distance(fine):
        (*_, f_hat) = latents(tokenizer, [*given[:-1], fine], schedule)
        return (f_hat - latent).square().mean().item()

    assert distance(right[-1]) < 0.9 * distance(codes[-1])


def test_without_a_share_nothing_changes():
    tokenizer, codes = made(QUANTIZERS[1])
    given, right, _ = with_mistakes(tokenizer, codes, SCHEDULE, 0.0)
    for step, code in enumerate(codes):
        assert torch.equal(given[step], code)
        assert torch.equal(right[step], code)


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=lambda slot: slot["name"])
def test_inputs_are_made_of_the_latents_that_were_accumulated(quantizer):
    tokenizer, codes = made(quantizer)
    torch.manual_seed(0)
    given, _, known = with_mistakes(tokenizer, codes, SCHEDULE, 0.8)
    inputs = teacher_inputs(tokenizer, given, SCHEDULE, known)
    assert torch.equal(inputs, teacher_inputs(tokenizer, given, SCHEDULE))
