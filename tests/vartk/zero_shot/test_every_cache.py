"""Tasks that are made of in-painting and sampling work with every cache, sampler and precision, too."""

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_model

from vartk.components import plugins

pytestmark = pytest.mark.usefixtures("one_thread")

REGISTRY = plugins().registry
SETTINGS = [
    *({"cache": name, "guidance": "interval"} for name in REGISTRY.names("cache")),
    *({"sampler": name, "cache": "window"} for name in REGISTRY.names("sampler")),
    *({"precision": name} for name in ("fp32", "bf16")),
    {"cache": ["ams_kv", "fastvar"], "batch": 1, "random": "shared"},
    {"preset": "fast"},
]


@pytest.fixture(scope="module")
def model():
    return tiny_model(**{"schedule.grids": [1, 2, 3, 4]})


@pytest.fixture(scope="module")
def small():
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(5)) * 1.2 - 0.6


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_task_keeps_what_it_promises(model, small, settings):
    kept = (small + 1) / 2
    wide = model.outpaint(small, [0, 1], canvas=(4, 2), at="left", **settings).images
    assert torch.equal(wide[..., 4:12, :8], kept)
    large = model.upscale(small, [0, 1], factor=2, **settings).images
    back = F.interpolate(large, size=(8, 8), mode="bicubic", antialias=True)
    assert (back - kept).abs().mean() < 0.03
    way = model.interpolate(0, 2, steps=3, **settings).images
    assert way.isfinite().all()
    if settings.get("random") != "shared":  # whose draws depend on the batch
        ends = model.sample([0, 0, 2], seed=[0, 0, 0], **settings).images
        torch.testing.assert_close(way[[0, 2]], ends[[0, 2]], atol=0.02, rtol=0)
