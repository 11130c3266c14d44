"""Adversarial training of the tokenizer: its losses, when it begins, what it learns and how it resumes."""

import contextlib

import pytest
import torch
from tiny import Crash, Crashing, Quiet, images_folder, tiny_composed, tiny_config, tiny_model
from torch import nn

from vartk.components import plugins
from vartk.config import TokenizerTraining
from vartk.engine.recipes import open_datasets, train_tokenizer
from vartk.engine.training import Run, TokenizerStage
from vartk.engine.training.adversary import Adversary, adaptive_weight, hinge
from vartk.engine.training.trainer import Trainer
from vartk.files import load_tensors
from vartk_registry import VartkError

CPU = torch.device("cpu")
PATCH = {"name": "patch", "layers": 2, "width": 8}
SETTINGS = {
    "train.tokenizer.steps": 8,
    "train.tokenizer.warmup": 0,
    "train.tokenizer.adversarial": PATCH,
    "train.tokenizer.adversarial_start": 0.25,
    "train.tokenizer.discriminator_lr": 1e-3,
    "train.tokenizer.save_every": 100,
    "train.tokenizer.eval_every": 100,
    "train.tokenizer.preview_every": 100,
    "tokenizer.dropout": 0.2,
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


def trained(images, folder, reporter=None, resume=False, **settings):
    composed = tiny_composed(images, **{**SETTINGS, **settings})
    train_tokenizer(composed, folder, reporter=reporter or Quiet(), device="cpu", resume=resume)
    return Run(folder)


def stage(images, **settings):
    config = tiny_config(images, **{**SETTINGS, **settings})
    model = tiny_model(predictor=False)
    return TokenizerStage(config, model, open_datasets(config, print), plugins().registry)


def weights(run):
    return load_tensors(run.model / "tokenizer.safetensors")


def assert_same(run, expected):
    assert run.metrics() == expected.metrics()
    ours, theirs = weights(run), weights(expected)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


class Judge(nn.Module):
    """The logit of an image is the sum of its colours, weighed 3, 0 and 4 at first."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([3.0, 0.0, 4.0]))

    def forward(self, images):
        return images.mean(dim=(2, 3)) @ self.weights


def duel(**settings):
    config = TokenizerTraining(steps=10, batch=2, warmup=0, clip=0, adversarial_start=0.2, **settings)
    adversary = Adversary(Judge(), config)
    adversary.prepare(CPU)
    return adversary


def learn(adversary, finite=True):
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return adversary.update(scaler, contextlib.nullcontext, torch.tensor(finite))


def test_the_hinge_loss_by_hand():
    real, fake = torch.tensor([[2.0, 0.5]]), torch.tensor([[-3.0, 0.25]])
    assert hinge(real, fake).item() == ((0 + 0.5) / 2 + (0 + 1.25) / 2) / 2


def test_the_adaptive_weight_makes_the_gradients_equally_long():
    made = torch.zeros(1, 3, 1, 1, requires_grad=True)
    reconstruction = (made.flatten() * torch.tensor([6.0, 8.0, 0.0])).sum()  # gradient 10 long
    logits = made.flatten() @ torch.tensor([[0.0, 0.0], [0.0, 2.0], [0.0, 0.0]])  # of their mean: 1 long
    weight = adaptive_weight(reconstruction, logits, made)
    assert weight.item() == 10
    assert not weight.requires_grad
    (gradient,) = torch.autograd.grad(-weight * logits.mean(), made, retain_graph=True)
    assert gradient.norm() == 10
    assert adaptive_weight(reconstruction, 1e-6 * logits, made) == 1e4
    assert adaptive_weight(reconstruction, 0 * logits, made) == 1e4
    assert adaptive_weight(0 * reconstruction, 0 * logits, made) == 0


def test_a_step_by_hand():
    adversary = duel(adversarial_weight=0.5, discriminator_lr=0.1)
    images, made = torch.ones(2, 3, 1, 1), torch.full((2, 3, 1, 1), 0.1, requires_grad=True)
    adversary.begin(3)
    # gradients: 0.2 (3, 0, 4) / 2 in each image from a loss of 0.2 of the mean logit, -(3, 0, 4) / 2
    loss, numbers = adversary.term(images, made, 0.2 * adversary.module(made).mean())
    assert numbers["adversarial"].item() == pytest.approx(-0.7)
    assert numbers["adversarial_weight"].item() == pytest.approx(0.2)
    assert loss.item() == pytest.approx(0.5 * 0.2 * -0.7)
    loss.backward()
    assert made.grad[0].flatten().tolist() == pytest.approx([-0.15, 0, -0.2])
    assert adversary.module.weights.grad is None  # it learns from its own loss alone
    numbers = learn(adversary)
    assert numbers["discriminator"].item() == pytest.approx((0 + 1.7) / 2)  # the real ones score 7
    # only the fake logits' gradient, 0.1 / 2 each: Adam goes down by about its learning rate of step 3
    rate = adversary.optimizer.param_groups[0]["lr"]
    assert rate == pytest.approx(0.1 * (1 - 0.9 * 2 / 10))
    moved = torch.tensor([3.0, 0.0, 4.0]) - adversary.module.weights.detach()
    assert (moved > 0.99 * rate).all()
    assert (moved < 1.01 * rate).all()


def test_before_its_start_it_adds_and_learns_nothing():
    adversary = duel()
    made = torch.full((2, 3, 1, 1), 0.1, requires_grad=True)
    for step, begun in ((1, False), (2, False), (3, True), (10, True)):
        adversary.begin(step)
        before = adversary.module.weights.clone()
        loss, numbers = adversary.term(torch.ones(2, 3, 1, 1), made, made.sum())
        assert bool(numbers) is begun
        assert bool(learn(adversary)) is begun
        assert bool(loss) is begun
        assert torch.equal(adversary.module.weights, before) is not begun


def test_a_gradient_that_is_not_finite_teaches_nothing():
    adversary = duel()
    adversary.begin(3)
    made = torch.zeros(2, 3, 1, 1, requires_grad=True)
    adversary.term(torch.full((2, 3, 1, 1), -torch.inf), made, made.sum())
    assert not learn(adversary)["discriminator"].isfinite()
    assert adversary.module.weights.tolist() == [3, 0, 4]


def test_it_learns_to_tell_images_from_noise(images):
    adversary = stage(images, **{"train.tokenizer.adversarial_start": 0.0}).opponent
    adversary.prepare(CPU)
    smooth = torch.linspace(-1, 1, 16).expand(8, 3, 16, 16)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for step in range(1, 41):
        adversary.begin(min(step, 6))
        noise = (torch.rand(8, 3, 16, 16, generator=generator) * 2 - 1).requires_grad_()
        adversary.term(smooth * torch.rand(8, 1, 1, 1, generator=generator), noise, noise.square().sum())
        losses.append(learn(adversary)["discriminator"].item())
    assert losses[0] == pytest.approx(1, abs=0.1)  # it knows nothing
    assert losses[-1] < 0.5
    with torch.no_grad():
        assert (adversary.module(smooth).mean() > 0) & (adversary.module(noise).mean() < 0)


def test_until_its_start_a_run_is_the_same_as_without(images, tmp_path):
    without = trained(images, tmp_path / "without", **{"train.tokenizer.adversarial": "none"})
    never = trained(images, tmp_path / "never", **{"train.tokenizer.adversarial_start": 1.0})
    late = trained(images, tmp_path / "late")
    assert_same(never, without)
    ours, theirs = ([line for line in run.metrics() if "loss" in line] for run in (late, without))
    assert ours[:2] == theirs[:2]
    parts = {"adversarial", "adversarial_weight", "discriminator"}
    assert ours[2].keys() - theirs[2].keys() == parts
    assert not parts & ours[1].keys()
    for line in ours[2:]:
        total = sum(line[name] * weight for name, weight in (("l1", 0.2), ("l2", 1), ("vq", 1)))
        total += 0.4 * line["adversarial_weight"] * line["adversarial"]
        assert line["loss"] == pytest.approx(total, rel=1e-5)
    assert weights(late).keys() == weights(without).keys()
    assert not torch.equal(weights(late)["phi.0.weight"], weights(without)["phi.0.weight"])
    names = [sorted(path.name for path in run.model.iterdir()) for run in (late, without)]
    assert names[0] == names[1]


def test_a_step_runs_the_tokenizer_once_for_each_part(images):
    one = stage(images, **{"train.tokenizer.accumulate": 2, "train.tokenizer.adversarial_start": 0.0})
    calls = []
    one.module.register_forward_hook(lambda *args: calls.append(1))
    trainer = Trainer(one, CPU)
    before = {name: tensor.clone() for name, tensor in one.opponent.module.state_dict().items()}
    values = trainer.update(1, next(one.batches(0, CPU))).values
    assert len(calls) == 2
    assert {"adversarial", "adversarial_weight", "discriminator"} < values.keys()
    after = one.opponent.module.state_dict()
    assert all(not torch.equal(after[name], before[name]) for name in before if "original" in name)
    judged = {id(parameter) for parameter in one.opponent.module.parameters()}
    assert not judged & {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}


def test_accumulation_adds_up_its_gradients(images):
    """Where the parts' adaptive weights agree: here, where each part has the same images."""

    def stepped(parts):
        settings = {"adversarial_start": 0.0, "accumulate": parts, "batch": 8}
        one = stage(images, **{f"train.tokenizer.{key}": value for key, value in settings.items()})
        one.module.eval()  # dropout differs
        trainer = Trainer(one, CPU)
        trainer.module.eval()
        one.opponent.module.eval()  # the norm of its weights is estimated anew in every pass
        batch = next(one.batches(0, CPU))[:4].repeat(2, 1, 1, 1)
        values = trainer.update(1, batch).values
        return values, {name: p.grad for name, p in one.opponent.module.named_parameters()}

    (whole, gradients), (parts, added) = stepped(1), stepped(2)
    for name, value in whole.items():
        assert float(parts[name]) == pytest.approx(float(value), rel=1e-4), name
    largest = max(gradient.abs().max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(added[name], gradient, rtol=1e-3, atol=1e-3 * largest)


ACCUMULATED = {"train.tokenizer.accumulate": 2, "train.tokenizer.ema": 0.9}
SKIPPED = {  # the first steps, until the scale of fp16 is found
    "train.tokenizer.precision": "fp16",
    "train.tokenizer.l2": 25,
    "train.tokenizer.adversarial_start": 0.0,
}


@pytest.mark.parametrize(("settings", "at"), [(ACCUMULATED, 2), (ACCUMULATED, 5), (SKIPPED, 6)])
def test_a_run_that_crashed_goes_on_identically(images, tmp_path, settings, at):
    """Before its start and after; checkpoints of other steps leave no trace."""
    whole = trained(images, tmp_path / "whole", **settings)
    often = settings | {"train.tokenizer.save_every": 1}
    with pytest.raises(Crash):
        trained(images, tmp_path / "run", Crashing(at), **often)
    reporter = Quiet()
    run = trained(images, tmp_path / "run", reporter, resume=True, **often)
    assert 1 < reporter.steps[0] <= at
    assert "discriminator" in run.metrics()[-2]
    assert_same(run, whole)
    if settings is SKIPPED:
        assert 0 < run.metrics()[-2]["skipped"] < 8


def test_a_checkpoint_holds_what_is_learned():
    adversary = duel()
    adversary.module.frozen = nn.Linear(2, 2).requires_grad_(False)
    assert adversary.state_dict()["module"].keys() == {"weights"}
    adversary.begin(3)
    made = torch.zeros(2, 3, 1, 1, requires_grad=True)
    adversary.term(torch.ones(2, 3, 1, 1), made, made.sum())
    learn(adversary)
    other = duel()
    other.module.frozen = nn.Linear(2, 2).requires_grad_(False)
    kept = other.module.frozen.weight.clone()
    other.load_state_dict(adversary.state_dict())
    assert torch.equal(other.module.weights, adversary.module.weights)
    assert torch.equal(other.module.frozen.weight, kept)
    ours, theirs = (one.optimizer.state[one.module.weights]["exp_avg"] for one in (other, adversary))
    assert torch.equal(ours, theirs)


def test_frozen_parts_stay_in_evaluation_mode():
    class Seeing(Judge):
        def __init__(self):
            super().__init__()
            self.eyes = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5)).requires_grad_(False)
            self.last = nn.Sequential(nn.BatchNorm1d(1), nn.Dropout(0.5))

        def forward(self, images):
            return self.last(super().forward(self.eyes(images))[:, None])

    adversary = Adversary(Seeing(), TokenizerTraining(steps=10, batch=2, adversarial_start=0.0))
    adversary.prepare(CPU)
    before = {name: tensor.clone() for name, tensor in adversary.module.eyes.state_dict().items()}
    adversary.begin(3)
    made = torch.full((2, 3, 1, 1), 0.1, requires_grad=True)
    adversary.term(torch.ones(2, 3, 1, 1), made, made.sum())
    learn(adversary)
    assert all(torch.equal(old, adversary.module.eyes.state_dict()[name]) for name, old in before.items())
    assert not any(part.training for part in adversary.module.eyes.modules())
    assert all(part.training for part in adversary.module.last.modules())


def test_it_begins_as_it_was_drawn(images):
    built = stage(images).opponent.module
    with torch.random.fork_rng():
        torch.manual_seed(TokenizerTraining().seed)
        drawn = plugins().registry.build("discriminator", "patch", {"layers": 2, "width": 8})
    assert all(torch.equal(tensor, built.state_dict()[name]) for name, tensor in drawn.state_dict().items())


def test_images_that_it_cannot_take_are_refused_before_the_run(images, tmp_path):
    settings = {"train.tokenizer.adversarial": {"name": "patch", "layers": 3}}
    with pytest.raises(VartkError, match=r"layers=3 takes images of 24 pixels a side or more, not 16x16"):
        trained(images, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()
