"""Training with channels last, as on a GPU: what is computed and what is saved stay the same."""

import pytest
import torch
from tiny import Quiet, images_folder, tiny_composed
from tiny_stages import tokenizer_stage

from vartk.engine.training import Run, train
from vartk.engine.training.trainer import Trainer
from vartk.files import load_tensors

CPU = torch.device("cpu")
FIRST, LAST = torch.contiguous_format, torch.channels_last
SETTINGS = {"adversarial": {"name": "patch", "layers": 1, "width": 4}, "adversarial_start": 0.0, "ema": 0.9}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


def test_every_convolution_has_it_from_the_images_to_the_moments(images):
    stage = tokenizer_stage(images, LAST, **SETTINGS)
    trainer = Trainer(stage, CPU)
    seen = []
    for module in (*stage.module.modules(), *stage.opponent.module.modules()):
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, inputs, output: seen.append((module, output)))
    batch = next(stage.batches(0, CPU))
    assert batch.is_contiguous(memory_format=LAST)
    trainer.update(1, batch)
    assert seen
    for module, output in seen:
        assert module.weight.is_contiguous(memory_format=LAST)
        assert output.is_contiguous(memory_format=LAST)
    for optimizer in (trainer.optimizer, stage.opponent.optimizer):
        for weight, state in optimizer.state.items():
            assert weight.grad is None or weight.grad.stride() == weight.stride()
            assert state["exp_avg"].stride() == weight.stride()


def test_a_step_computes_the_same(images):
    found = []
    for layout in (FIRST, LAST):
        stage = tokenizer_stage(images, layout, **SETTINGS)
        outcome = Trainer(stage, CPU).update(1, next(stage.batches(0, CPU)))
        gradients = {name: p.grad for name, p in stage.module.named_parameters() if p.grad is not None}
        found.append((outcome.numbers(), gradients))
    (first, gradients), (last, same) = found
    assert last == pytest.approx(first, rel=1e-4)
    largest = max(gradient.abs().max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient, rtol=1e-3, atol=1e-4 * largest)


def trained(images, folder, layout, steps, resume=False):
    settings = {**SETTINGS, "steps": steps, "save_every": 1}
    stage = tokenizer_stage(images, layout, **settings)
    composed = tiny_composed(images, **{f"train.tokenizer.{key}": value for key, value in settings.items()})
    train(stage, composed, folder, reporter=Quiet(), device=CPU, resume=resume)
    return Run(folder)


def test_a_run_can_go_on_in_the_other_layout(images, tmp_path):
    for name, layouts in {"first": (FIRST, FIRST), "last": (LAST, LAST), "both": (LAST, FIRST)}.items():
        trained(images, tmp_path / name, layouts[0], steps=2)
        trained(images, tmp_path / name, layouts[1], steps=4, resume=True)
    first, last, both = (
        load_tensors(Run(tmp_path / name).model / "tokenizer.safetensors")
        for name in ("first", "last", "both")
    )
    assert first.keys() == last.keys() == both.keys()
    for name, weight in first.items():
        assert last[name].shape == both[name].shape == weight.shape
        for other in (last, both):
            torch.testing.assert_close(other[name], weight, rtol=1e-2, atol=2e-3)
