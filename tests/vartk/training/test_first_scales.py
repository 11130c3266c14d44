"""Training on the first scales alone: the same losses as in a whole pass, for less computation."""

import pytest
import torch
from tiny import images_folder
from tiny_stages import transformer_stage

from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


def losses(stage):
    stage.module.eval()  # without what is random
    batch = next(stage.batches(0, torch.device("cpu")))
    return stage.loss(stage.module, batch)


def test_the_losses_are_those_of_the_same_scales_in_a_whole_pass(images):
    _, values = losses(transformer_stage(images))
    first, found = losses(transformer_stage(images, scales=2))
    assert set(found) == {f"{name}{of}" for name in ("loss", "accuracy") for of in ("", "_last", "_0", "_1")}
    for scale in (0, 1):
        torch.testing.assert_close(found[f"loss_{scale}"], values[f"loss_{scale}"])
    # scales of 1 and 4 tokens
    torch.testing.assert_close(first, (values["loss_0"] + 4 * values["loss_1"]) / 5)


def test_a_model_that_learns_from_the_first_scales_validates_on_them_and_draws_all(images):
    stage = transformer_stage(images, scales=2, self_correction=0.5)
    loss, _ = stage.loss(stage.module.train(), next(stage.batches(0, torch.device("cpu"))))
    loss.backward()
    validated = stage.validate(stage.module.eval(), torch.device("cpu"))
    assert "loss_1" in validated
    assert "loss_2" not in validated
    assert stage.preview(stage.module, torch.device("cpu")).isfinite().all()


def test_more_scales_than_there_are_are_refused(images):
    with pytest.raises(VartkError, match=r"train\.transformer\.scales=4, but the schedule has 3 scales"):
        transformer_stage(images, scales=4)
