"""Precisions of inference: what stays the same, and what may differ by how much."""

from functools import partial

import numpy as np
import pytest
import torch
from tiny import tiny_model
from torch import nn

import vartk
from vartk.config import Slot
from vartk.engine.attention import build_attention
from vartk.engine.inference.copies import inference_copy
from vartk.engine.inference.layers import ChannelsLastConv2d, FastLinear
from vartk.engine.inference.precision import precision
from vartk_plugins.var.blocks import GeluLinear
from vartk_registry import VartkError


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_fp32_draws_the_tokens_and_the_images_of_the_plain_layers(model):
    plain = model.sample([0, 1, 2], seed=3, precision="plain")
    fast = model.sample([0, 1, 2], seed=3, precision="fp32")
    assert all(torch.equal(a, b) for a, b in zip(fast.codes, plain.codes, strict=True))
    torch.testing.assert_close(fast.images, plain.images, atol=1e-5, rtol=0)


def test_bf16_is_near_the_plain_layers_scale_by_scale(model):
    """The codes before a scale are those of the plain layers, so that one flip does not make another."""
    plain = list(model.stream([0, 1, 2], seed=3, precision="plain", sampler="greedy"))
    equal = []
    for state, expected in zip(
        model.stream([0, 1, 2], seed=3, precision="bf16", sampler="greedy"), plain, strict=True
    ):
        equal.append((state.codes == expected.codes).flatten())
        state.vectors = expected.vectors
    assert torch.cat(equal).float().mean() > 0.9
    assert (state.images - plain[-1].images).abs().max() < 0.05
    assert not torch.equal(state.images, plain[-1].images)


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_an_image_does_not_depend_on_its_batch(model, name):
    together = model.sample([0, 1, 2], seed=3, precision=name)
    alone = model.sample([1], seed=4, precision=name)
    assert all(torch.equal(a[1:2], b) for a, b in zip(together.codes, alone.codes, strict=True))


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_weights_that_change_are_heeded(name):
    model = tiny_model()
    before = model.sample([0], precision=name)
    with torch.no_grad():
        model.predictor.transformer.head.weight.normal_()
        model.tokenizer.decoder.conv_out.bias.add_(0.3)
    after = model.sample([0], precision=name)
    expected = model.sample([0], precision="plain")
    assert not torch.equal(before.codes[-1], after.codes[-1])
    if name == "fp32":
        assert torch.equal(after.codes[-1], expected.codes[-1])
        torch.testing.assert_close(after.images, expected.images, atol=1e-5, rtol=0)


def test_a_model_that_was_loaded_in_inference_mode_samples(tmp_path):
    vartk.save(tiny_model(), tmp_path / "model")
    expected = vartk.load(tmp_path / "model").sample([0], precision="bf16")
    with torch.inference_mode():
        made = vartk.load(tmp_path / "model").sample([0], precision="bf16")
    assert all(torch.equal(a, b) for a, b in zip(made.codes, expected.codes, strict=True))


def test_a_second_call_uses_the_modules_of_the_first(model):
    model.sample([0], precision="bf16")
    first = model._inference
    model.sample([1], precision="bf16")
    assert model._inference is first
    model.sample([1], precision="fp32")
    assert model._inference is not first


def test_inference_shares_weights_and_leaves_the_model_as_it_is(model):
    before = {k: v.clone() for k, v in model.predictor.state_dict().items()}
    copied = inference_copy(model.predictor.transformer)
    shared = {p.data_ptr() for p in model.predictor.transformer.parameters()}
    assert copied.head.weight.data_ptr() in shared
    assert type(model.predictor.transformer.head) is nn.Linear
    assert type(copied.head) is FastLinear
    model.sample([0], precision="bf16")
    for name, value in model.predictor.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(("name", "size"), [("fp32", 4), ("bf16", 2)])
def test_keys_and_values_are_kept_in_the_compute_dtype(model, name, size):
    predictor = model.predictor
    transformer, cache = predictor.transformer, model.plugins.registry.build("cache", "full", {})
    chosen = precision(name, model.device)
    attend = build_attention(Slot(name="sdpa"), model.plugins.registry)
    condition = predictor.conditioner(torch.tensor([0]))
    with torch.no_grad(), chosen.autocast(model.device):
        session = transformer.begin(condition, model.schedule, cache, attend)
    layers, width, tokens = len(transformer.blocks), transformer.width, model.schedule.total
    assert session.cache.nbytes() == 2 * layers * width * tokens * size


def test_images_are_decoded_one_by_one_on_a_cpu(model):
    """The memory of a decoder then is that of one image, however many are asked for."""
    sizes = []
    hook = model.tokenizer.decoder.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    images = model.sample([0, 1, 2], precision="plain").images
    hook.remove()
    assert (sizes, len(images)) == ([1, 1, 1], 3)


def test_precision_follows_the_device():
    cpu = torch.device("cpu")
    assert precision("auto", cpu) == precision("fp32", cpu)


def test_fp16_is_refused_where_the_processor_lacks_it():
    if torch.ops.mkldnn._is_mkldnn_fp16_supported():
        assert precision("fp16", torch.device("cpu")).dtype is torch.float16
    else:
        with pytest.raises(VartkError, match="no arithmetic for it; take precision=bf16"):
            precision("fp16", torch.device("cpu"))


def test_a_misspelt_precision_is_explained(model):
    with pytest.raises(VartkError, match=r"precision.*bf61.*bf16"):
        model.sample([0], precision="bf61")


def test_int8_has_been_removed_and_bf16_is_named(model):
    with pytest.raises(VartkError, match=r"precision='int8' has been removed; take 'bf16', which is as fast"):
        model.sample([0], precision="int8")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_a_gelu_that_follows_a_linear_layer_is_kept(dtype, tolerance):
    torch.manual_seed(0)
    linear = GeluLinear(8, 16)
    x = torch.randn(3, 5, 8)
    copied = inference_copy(nn.Sequential(linear))
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
        out = copied(x)
    product = x.numpy() @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
    expected = product / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (product + 0.044715 * product**3)))
    assert type(copied[0]) is FastLinear
    np.testing.assert_allclose(out.float().numpy(), expected, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "make", [nn.Conv2d, partial(nn.Conv2d, padding=1), partial(nn.ConvTranspose2d, output_padding=1)]
)
def test_channels_last_convolutions_equal_the_plain_ones(dtype, make):
    torch.manual_seed(0)
    conv = make(4, 6, 3, stride=2)
    x = torch.randn(2, 4, 9, 9)
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
        out = ChannelsLastConv2d(conv)(x)
        expected = conv(x)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert out.dtype == dtype
    torch.testing.assert_close(out, expected, atol=1e-5 if dtype is torch.float32 else 0.03, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_compiled_blocks_draw_the_same_codes(model, name):
    settings = {"precision": name, "attention": "sdpa", "sampler": "greedy"}
    expected = model.sample([0, 1, 2], seed=3, **settings)
    made = model.sample([0, 1, 2], seed=3, compile=True, **settings)
    equal = torch.cat([(a == b).flatten() for a, b in zip(made.codes, expected.codes, strict=True)])
    assert equal.all() if name == "fp32" else equal.float().mean() > 0.9
    assert "OptimizedModule" not in repr(model.predictor)  # the model's own modules are not touched


def test_a_plain_model_is_not_compiled(model):
    with pytest.raises(VartkError, match=r"compile=true compiles a copy, and precision=plain has none"):
        model.sample([0], precision="plain", compile=True)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores")  # fp32 keeps torch's precision "highest"
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_precisions_on_a_gpu_are_near_those_of_a_cpu(name, compiled):
    model = tiny_model()
    plain = list(model.stream([0, 1, 2], seed=3, precision="plain", sampler="greedy"))
    images = plain[-1].images  # decoded now, on the CPU
    model.to("cuda")
    equal = []
    for state, expected in zip(
        model.stream([0, 1, 2], seed=3, precision=name, compile=compiled, sampler="greedy"),
        plain,
        strict=True,
    ):
        equal.append((state.codes.cpu() == expected.codes).flatten())
        state.vectors = expected.vectors.cuda()
    assert torch.cat(equal).float().mean() > 0.9
    assert (state.images.cpu() - images).abs().max() < 0.05
