import copy

import pytest
import torch
from tiny_tokenizer import SCHEDULE, smooth_images

from vartk_plugins.var_vqvae.dropout import draw_kept, refilled
from vartk_registry import ParamErrors, VartkError, discover

REGISTRY = discover([f"vartk_plugins.{name}" for name in ("var_vqvae", "vq", "fsq", "binary")]).registry
CPU = torch.device("cpu")


def build(quantizer="vq", quantizer_params=None, **params):
    size = {"channels": 32, "multipliers": [1, 1, 1], "blocks": 1, "attention": False, "latent": 8}
    torch.manual_seed(0)
    return REGISTRY.build(
        "tokenizer",
        "var_vqvae",
        size | params,
        quantizer=lambda dim: REGISTRY.build(
            "quantizer", quantizer, {"classes": 32} if quantizer_params is None else quantizer_params, dim=dim
        ),
    ).train()


def masks_of(kept, images):
    """Return which images keep which scale, [steps, images]."""
    return torch.stack([torch.zeros(images, dtype=torch.bool).index_fill(0, rows, True) for rows in kept])


def depths(kept, images):
    return masks_of(kept, images).sum(0).tolist()


def test_the_draw_is_the_share_and_uniform():
    torch.manual_seed(0)
    kept = draw_kept(30_000, 10, share=0.1, keep=3, device=CPU)
    masks = masks_of(kept, 30_000)
    numbers = masks.sum(0).bincount(minlength=11)
    assert numbers[:3].tolist() == [0, 0, 0]
    assert numbers[10] / 30_000 == pytest.approx(0.9, abs=0.01)
    assert (numbers[3:10] / 30_000).tolist() == pytest.approx([0.1 / 7] * 7, abs=0.003)
    assert (masks[:-1] | ~masks[1:]).all()  # what is lost is the finest


def test_images_that_lose_their_finest_scales_by_hand():
    """Each image is what its first codes alone decode to; losses are over the images that kept a scale."""
    tokenizer = build(scale_dropout=0.7, scale_keep=1)
    images = torch.cat((smooth_images(), -smooth_images()))
    torch.manual_seed(8)
    number = depths(draw_kept(8, 3, share=0.7, keep=1, device=CPU), 8)
    assert set(number) == {1, 2, 3}
    torch.manual_seed(8)
    output = tokenizer(images, SCHEDULE)

    codes = tokenizer.encode(images, SCHEDULE)
    features = tokenizer.features(images)
    losses = [[], [], []]
    for image, depth in enumerate(number):
        f_hat = None
        for step in range(depth):
            own = codes[step][image : image + 1]
            f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(own), step, SCHEDULE)
            losses[step].append(1.25 * (f_hat - features[image : image + 1]).square().mean())
            assert torch.equal(output.codes[step][image], own[0])
        for step in range(depth, 3):
            assert not output.codes[step][image].any()
        expected = tokenizer.decode(f_hat)[0]
        torch.testing.assert_close(output.images[image].clamp(-1, 1), expected, atol=1e-5, rtol=1e-4)
    by_scale = torch.stack([torch.stack(scale).mean() for scale in losses])
    assert output.losses["vq"].item() == pytest.approx(by_scale.mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("quantizer", "params"),
    [("vq", {}), ("vq-cosine", {}), ("vq-ema", {}), ("fsq", {"levels": [3] * 8}), ("lfq", {}), ("bsq", {})],
)
def test_a_batch_whose_every_image_loses_the_finest_scale(quantizer, params):
    tokenizer = build(quantizer, params, scale_dropout=1.0, scale_keep=2)
    output = tokenizer(smooth_images(), SCHEDULE)
    assert not output.codes[2].any()
    assert output.codes[2].shape == tokenizer.encode(smooth_images(), SCHEDULE)[2].shape
    (output.images.mean() + output.losses["vq"]).backward()
    gradients = [p.grad for p in tokenizer.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert tokenizer.encoder.conv_in.weight.grad.any()


def test_moving_averages_learn_of_kept_images_alone():
    """The finest scale, which no image keeps, leaves the codebook as the two coarser ones make it."""

    def updated(schedule, images):
        quantizer = copy.deepcopy(start.quantizer)
        quantizer.train()
        calls = []
        start.quantizer.register_forward_hook(lambda module, inputs, output: calls.append(inputs[0]))
        start(images, schedule)
        for vectors in calls:
            quantizer(vectors)
        return quantizer, calls

    start = build("vq-ema", {"classes": 32, "restart_below": 0}, scale_dropout=1.0, scale_keep=2)
    quantizer, calls = updated(SCHEDULE, smooth_images())
    assert [vectors.shape for vectors in calls] == [(4, 4, 8), (4, 16, 8), (0, 64, 8)]
    assert torch.equal(quantizer.codebook.weight, start.quantizer.codebook.weight)
    assert torch.equal(quantizer.hits, start.quantizer.hits)
    assert quantizer.hits.sum() == pytest.approx(1 - 0.99**2)  # two updates


def test_nothing_is_drawn_or_dropped_where_it_is_off_or_in_evaluation():
    plain = build()
    with_dropout = build(scale_dropout=1.0, scale_keep=1).eval()
    before = torch.get_rng_state()
    expected = plain(smooth_images(), SCHEDULE)
    output = with_dropout(smooth_images(), SCHEDULE)
    codes = with_dropout.train().encode(smooth_images(), SCHEDULE)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(output.images, expected.images)
    assert torch.equal(output.losses["vq"], expected.losses["vq"])
    assert all(map(torch.equal, codes, expected.codes))


def test_a_share_of_images_that_are_all_kept_changes_nothing():
    """Drawn, but nobody is chosen: what is computed for the masks is what is computed without."""
    expected = build()(smooth_images(), SCHEDULE)
    output = build(scale_dropout=1e-9, scale_keep=1)(smooth_images(), SCHEDULE)
    assert torch.equal(output.images, expected.images)
    assert torch.equal(output.losses["vq"], expected.losses["vq"])


def test_refilled():
    part = torch.tensor([[1, 2], [3, 4]])
    assert refilled(part, torch.tensor([2, 0]), 3).tolist() == [[3, 4], [0, 0], [1, 2]]


def test_too_few_scales():
    tokenizer = build(scale_dropout=0.1)
    with pytest.raises(VartkError, match=r"scale_keep=3 has nothing to drop in a schedule of 3 .* below 3"):
        tokenizer(smooth_images(), SCHEDULE)
    tokenizer.eval()(smooth_images(), SCHEDULE)
    with pytest.raises(ParamErrors, match="scale_keep=0 is out of range"):
        build(scale_keep=0)
