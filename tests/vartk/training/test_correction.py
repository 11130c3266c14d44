import golden
import infinities
import pytest
import torch
from tiny import images_folder, tiny_model
from tiny_stages import transformer_stage

import vartk
from vartk.components import plugins
from vartk.engine.codes import latents, teacher_inputs
from vartk.engine.data import Images
from vartk.engine.training.correction import exchanged, first_scales, flipped, with_mistakes
from vartk.engine.training.scores import Scores
from vartk_registry.interfaces import CodeSpace, Schedule

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
    given, right, _ = with_mistakes(tokenizer, codes, SCHEDULE, exchanged(codes, 0.8))
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
    given, right, _ = with_mistakes(tokenizer, codes, SCHEDULE, exchanged(codes, 1.0))
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
    given, right, _ = with_mistakes(tokenizer, codes, schedule, exchanged(codes, 0.5))
    (*_, latent) = latents(tokenizer, codes, schedule)

    def distance(fine):
        (*_, f_hat) = latents(tokenizer, [*given[:-1], fine], schedule)
        return (f_hat - latent).square().mean().item()

    assert distance(right[-1]) < 0.9 * distance(codes[-1])


def test_without_a_share_nothing_changes():
    tokenizer, codes = made(QUANTIZERS[1])
    given, right, _ = with_mistakes(tokenizer, codes, SCHEDULE, exchanged(codes, 0.0))
    for step, code in enumerate(codes):
        assert torch.equal(given[step], code)
        assert torch.equal(right[step], code)


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=lambda slot: slot["name"])
def test_inputs_are_made_of_the_latents_that_were_accumulated(quantizer):
    tokenizer, codes = made(quantizer)
    torch.manual_seed(0)
    given, _, known = with_mistakes(tokenizer, codes, SCHEDULE, exchanged(codes, 0.8))
    inputs = teacher_inputs(tokenizer, given, SCHEDULE, known)
    assert torch.equal(inputs, teacher_inputs(tokenizer, given, SCHEDULE))


def test_bits_are_flipped_with_a_share_for_each_scale():
    true = torch.zeros(40, 50, 3, dtype=torch.int64)
    torch.manual_seed(0)
    shares = [flipped(2, 0.3)(step, true).float().mean().item() for step in range(60)]
    assert max(shares) == pytest.approx(0.3, abs=0.02)
    assert min(shares) < 0.02
    assert sum(shares) / 60 == pytest.approx(0.15, abs=0.04)
    wrong = flipped(5, 1.0)
    drawn = torch.cat([wrong(0, true) for _ in range(5)])
    assert set(drawn.unique().tolist()) == {0, 1, 2, 3, 4}
    err = first_scales(flipped(2, 1.0), 2)
    torch.manual_seed(1)
    assert err(1, true).any()
    assert torch.equal(err(2, true), true)


@pytest.mark.parametrize("name", infinities.NAMES)
def test_flips_are_corrected_as_in_the_original(name):
    original = infinities.Original(name)
    arrays, schedule, tokenizer = original.arrays, original.schedule, original.tokenizer()
    flips = [arrays[f"corrected_flip{step}"].flatten(1, 2).long() for step in range(3)]
    codes = original.codes(arrays["bits"]).long().split(schedule.sizes, dim=1)

    def err(step, true):
        return true ^ flips[step] if step < len(flips) else true

    given, right, made = with_mistakes(tokenizer, codes, schedule, err, arrays["latent"])
    assert torch.equal(torch.cat(right, dim=1), original.codes(arrays["corrected_bits"]).long())
    inputs = teacher_inputs(tokenizer, given, schedule, made)
    golden.assert_close(inputs, original.codes(arrays["corrected_input"], first=1), 1e-5)


@pytest.mark.parametrize("name", infinities.NAMES)
def test_scales_of_equal_weight_have_the_originals_loss(name):
    original = infinities.Original(name)
    logits = original.codes(original.arrays["logits"]).unflatten(-1, (original.bits, 2))
    bits = original.codes(original.arrays["bits"]).long()
    space = CodeSpace(2, (original.bits,))
    for equal, expected in ((False, "loss_mean"), (True, "loss_reweighted")):
        loss, _ = Scores(space, original.schedule, equal=equal).loss(logits, bits, 0.0)
        golden.assert_close(loss, original.arrays[expected], 1e-5)


def test_a_step_of_training_with_flips_and_equal_scales(tmp_path):
    settings = {"self_correction": 1.0, "correction": "flip", "corrected_scales": 1, "equal_scales": True}
    stage = transformer_stage(images_folder(tmp_path / "images"), **settings)
    torch.manual_seed(0)
    batch = next(stage.batches(0, torch.device("cpu")))
    loss, parts = stage.loss(stage.module.train(), batch)
    assert loss.isfinite()
    assert not torch.isclose(loss.detach(), parts["loss"])
