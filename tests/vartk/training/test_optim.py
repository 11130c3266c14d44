import pytest
import torch
from tiny import tiny_model

from vartk.config import StageConfig
from vartk.engine.training.optim import build_optimizer, learning_rate, set_rates, weight_decay


def decayed(module):
    optimizer = build_optimizer(module, StageConfig(weight_decay=0.25))
    names = {parameter: name for name, parameter in module.named_parameters()}
    groups = {group["weight_decay"]: {names[p] for p in group["params"]} for group in optimizer.param_groups}
    assert groups.keys() == {0.0, 0.25}
    assert groups[0.0] | groups[0.25] == set(names.values())
    assert not groups[0.0] & groups[0.25]
    return groups[0.25]


@pytest.mark.parametrize("shared", [False, True])
def test_only_the_recipes_matrices_decay(shared):
    predictor = tiny_model(
        transformer={"name": "var", "depth": 1, "width": 32, "heads": 2, "shared_adaln": shared}
    )
    modulation = "transformer.shared_modulation" if shared else "transformer.blocks.0.modulation"
    assert decayed(predictor.predictor) == {
        "conditioner.embedding.weight",
        "transformer.embed.weight",
        "transformer.head.weight",
        "transformer.head_modulation.weight",
        f"{modulation}.weight",
        "transformer.blocks.0.attention.qkv.weight",
        "transformer.blocks.0.attention.proj.weight",
        "transformer.blocks.0.ffn.fc1.weight",
        "transformer.blocks.0.ffn.fc2.weight",
    }


def test_vectors_of_the_tokenizer_do_not_decay():
    tokenizer = tiny_model(predictor=False).tokenizer
    shapes = {name: parameter.ndim for name, parameter in tokenizer.named_parameters()}
    assert decayed(tokenizer) == {name for name, ndim in shapes.items() if ndim > 1}


def test_frozen_weights_are_left_out():
    tokenizer = tiny_model(predictor=False).tokenizer
    tokenizer.encoder.requires_grad_(False)
    optimizer = build_optimizer(tokenizer, StageConfig())
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    assert count == sum(parameter.requires_grad for parameter in tokenizer.parameters())


def test_learning_rate_by_hand():
    config = StageConfig(steps=100, warmup=0.1, flat=0.2, final_lr=0.1)
    assert learning_rate(0, config) == pytest.approx(0.005)
    assert learning_rate(5, config) == pytest.approx(0.5025)  # half-way from 0.005 to 1
    assert [learning_rate(step, config) for step in (10, 29, 30)] == pytest.approx([1, 1, 1])
    assert learning_rate(65, config) == pytest.approx(0.55)  # half-way from 1 to 0.1
    assert learning_rate(99, config) == pytest.approx(0.1 + 0.9 / 70)
    assert learning_rate(100, config) == learning_rate(1000, config) == pytest.approx(0.1)


@pytest.mark.parametrize(("warmup", "flat"), [(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5)])
def test_learning_rate_at_its_bounds(warmup, flat):
    config = StageConfig(steps=10, warmup=warmup, flat=flat, final_lr=0.1)
    rates = [learning_rate(step, config) for step in range(12)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[0] == (0.005 if warmup else 1)


def test_the_rate_of_each_step_is_set():
    config = StageConfig(steps=4, warmup=0.5, final_lr=0.5, lr=1e-2)
    optimizer = build_optimizer(torch.nn.Linear(2, 2), config)
    rates = []
    for step in range(4):
        rates.append(set_rates(optimizer, step, config))
        assert [group["lr"] for group in optimizer.param_groups] == [rates[-1]] * 2
    assert rates == pytest.approx([5e-5, 5.025e-3, 1e-2, 7.5e-3])


def test_the_rate_grows_with_the_batch():
    config = StageConfig(lr=1e-4, lr_scaling=True, batch=768, warmup=0)
    optimizer = build_optimizer(torch.nn.Linear(2, 2), config)
    assert set_rates(optimizer, 0, config) == pytest.approx(3e-4)


def test_weight_decay_rises_along_a_cosine():
    config = StageConfig(steps=101, weight_decay=0.0, final_weight_decay=0.08)
    assert [weight_decay(step, config) for step in (0, 25, 50, 100)] == pytest.approx(
        [0, 0.08 * (1 - 0.5**0.5) / 2, 0.04, 0.08]
    )
    optimizer = build_optimizer(torch.nn.Linear(2, 2), config)  # a matrix, and a bias that does not decay
    for step in (0, 100):
        set_rates(optimizer, step, config)
    assert {group["params"][0].ndim: group["weight_decay"] for group in optimizer.param_groups} == {
        2: 0.08,
        1: 0,
    }
    assert weight_decay(5, StageConfig(weight_decay=0.05)) == 0.05


def test_shares_slow_weights_down_and_leave_their_decay():
    config = StageConfig(lr=1e-2, warmup=0, weight_decay=0.2)
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    optimizer = build_optimizer(module, config, {"0.weight": 0.1, "0.bias": 0.1, "1.bias": 1.0})
    assert set_rates(optimizer, 0, config) == 1e-2
    found = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    expected = {
        "0.weight": (1e-3, 0.2),
        "0.bias": (1e-3, 0.0),
        "1.weight": (1e-2, 0.2),
        "1.bias": (1e-2, 0.0),
    }
    assert {name: found[id(p)] for name, p in module.named_parameters()} == expected
