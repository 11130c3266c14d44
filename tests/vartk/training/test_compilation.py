"""The compiled step of training."""

import copy

import pytest
import torch
from tiny import images_folder
from tiny_stages import tokenizer_stage, transformer_stage
from torch.utils._triton import has_triton

from vartk.config import StageConfig
from vartk.engine.training.compilation import compiles
from vartk.engine.training.trainer import Trainer

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
stages = pytest.mark.parametrize("make", [tokenizer_stage, transformer_stage])
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # torch looks at the gradients of what it traces, and hides the warning from users
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor"),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


@pytest.mark.parametrize(
    ("settings", "device", "sharded", "expected"),
    [
        ({"compile": True, "steps": 1}, CPU, False, True),
        ({"compile": True, "steps": 1}, CUDA, True, True),
        ({"compile": False}, CUDA, False, False),
        ({}, CPU, False, False),
        ({"steps": 999}, CUDA, False, False),
        ({"steps": 1000}, CUDA, True, False),
        ({"steps": 1000}, CUDA, False, has_triton()),
    ],
)
def test_it_is_compiled_where_that_pays(settings, device, sharded, expected):
    assert compiles(StageConfig(**settings), device, sharded=sharded) is expected


def test_compilation_leaves_the_names_of_the_weights(images):
    compiled = Trainer(tokenizer_stage(images, compile=True), CPU)
    assert compiled.compiled
    assert compiled.forward is not compiled.module
    assert compiled.shown.state_dict().keys() == tokenizer_stage(images).module.state_dict().keys()


@stages
def test_a_step_is_one_graph_that_every_step_uses(images, make):
    """A graph that breaks would give most of the gain away; by Dynamo alone, which needs no compiler."""
    trainer = Trainer(make(images), CPU)
    graphs = []
    trainer.forward = torch.compile(
        trainer.module, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True
    )
    batches = iter(trainer.stage.batches(0, CPU))
    for step in (1, 2, 3):
        trainer.update(step, next(batches))
    assert len(graphs) == 1


@pytest.mark.slow
@stages
def test_compiled_training_is_the_same(images, make):
    found = []
    for compile in (False, True):
        trainer = Trainer(make(images, compile=compile), CPU)
        values = trainer.update(1, next(iter(trainer.stage.batches(0, CPU)))).values
        gradients = {n: p.grad.clone() for n, p in trainer.module.named_parameters() if p.grad is not None}
        found.append((values, gradients, copy.deepcopy(trainer.module.state_dict())))
    (plain, gradients, weights), (compiled, same, compiled_weights) = found
    assert compiled_weights.keys() == weights.keys()
    assert float(compiled["loss"]) == pytest.approx(float(plain["loss"]), rel=1e-4)
    largest = max(gradient.abs().max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient, rtol=1e-3, atol=1e-4 * largest)
