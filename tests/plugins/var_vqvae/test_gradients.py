"""How the decoder's gradient passes the quantisation."""

import pytest
import torch
from tiny_tokenizer import SCHEDULE, build_tokenizer, smooth_images, train

from vartk_plugins.var_vqvae.gradients import rotated, straight
from vartk_registry import VartkError


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rotation(source, target):
    """The rotation in the plane of two vectors that takes one direction to the other, from its angle."""
    u = source / source.norm()
    aim = target / target.norm()
    cosine = u @ aim
    v = aim - cosine * u
    sine = v.norm()
    v = v / sine
    plane = torch.outer(u, u) + torch.outer(v, v)
    turn = torch.outer(v, u) - torch.outer(u, v)
    return torch.eye(len(u)) - plane + cosine * plane + sine * turn


def test_a_quarter_turn_by_hand():
    """From (2, 0) to (0, 6): s = 3; the gradient (5, 7) turns back to (7, -5), times 3."""
    features = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    out = rotated(features, torch.tensor([0.0, 6.0]).view(1, 2, 1, 1))
    assert out.flatten().tolist() == [0, 6]
    out.backward(torch.tensor([5.0, 7.0]).view(1, 2, 1, 1))
    assert features.grad.flatten().tolist() == pytest.approx([21, -15])


def test_the_gradient_is_that_of_explicit_rotations():
    features, f_hat, given = random(2, 5, 3, 2), random(2, 5, 3, 2, seed=1), random(2, 5, 3, 2, seed=2)
    features.requires_grad_()
    out = rotated(features, f_hat)
    assert torch.equal(out, f_hat)
    out.backward(given)
    for b, h, w in [(0, 0, 0), (1, 2, 1), (0, 1, 1)]:
        z, q, g = features.detach()[b, :, h, w], f_hat[b, :, h, w], given[b, :, h, w]
        matrix = rotation(z, q)
        torch.testing.assert_close(q.norm() / z.norm() * matrix @ z, q)
        passed = features.grad[b, :, h, w]
        torch.testing.assert_close(passed, q.norm() / z.norm() * matrix.T @ g, atol=1e-5, rtol=1e-4)
        # the angle to the features is that of the gradient to the approximation
        torch.testing.assert_close(
            torch.cosine_similarity(passed, z, dim=0), torch.cosine_similarity(g, q, dim=0)
        )


def test_equal_vectors_pass_the_gradient_unchanged():
    features, given = random(2, 5, 3, 2), random(2, 5, 3, 2, seed=2)
    rotated(features.requires_grad_(), features.detach().clone()).backward(given)
    torch.testing.assert_close(features.grad, given)


@pytest.mark.parametrize(
    "f_hat", [torch.zeros(1, 3, 1, 1), -torch.ones(1, 3, 1, 1)], ids=["zero", "opposite"]
)
@pytest.mark.parametrize("features", [torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)], ids=["zero", "one"])
def test_vectors_without_a_direction_have_finite_gradients(features, f_hat):
    features = features.clone().requires_grad_()
    out = rotated(features, f_hat)
    out.sum().backward()
    assert torch.equal(out, f_hat)
    assert features.grad.isfinite().all()


def test_straight_passes_the_gradient_unchanged():
    features, given = random(1, 2, 2, 2), random(1, 2, 2, 2, seed=2)
    straight(features.requires_grad_(), random(1, 2, 2, 2, seed=1)).backward(given)
    assert torch.equal(features.grad, given)


def test_the_tokenizers_images_are_the_same_and_it_learns():
    ways = {
        way: build_tokenizer("vq", "vq", {"classes": 32}, gradient=way) for way in ("straight", "rotation")
    }
    made = {way: tokenizer(smooth_images(), SCHEDULE).images for way, tokenizer in ways.items()}
    torch.testing.assert_close(made["rotation"], made["straight"], atol=1e-5, rtol=1e-4)
    encoders = {way: tokenizer.encoder.conv_in.weight for way, tokenizer in ways.items()}
    passed = {way: torch.autograd.grad(made[way].square().mean(), encoders[way])[0] for way in ways}
    assert not torch.allclose(passed["rotation"], passed["straight"], rtol=0.1)
    losses = train(ways["rotation"], 20)
    assert losses[-1] < losses[0] / 2


def test_a_quantizer_with_a_gradient_of_its_own_refuses_another():
    tokenizer = build_tokenizer("vq", "ibq", {"classes": 32}, gradient="rotation")
    with pytest.raises(VartkError, match=r"tokenizer\.gradient=rotation would have no effect.*=straight"):
        tokenizer(smooth_images(), SCHEDULE)
    tokenizer.eval()(smooth_images(), SCHEDULE)


def test_a_differentiable_quantizer_gets_the_decoders_gradient():
    """It passes to every entry, and by way of them to the encoder; equal entries pass none on."""
    tokenizer = build_tokenizer("vq", "ibq", {"classes": 8, "entropy": 0.0})
    first, book = tokenizer.encoder.conv_in.weight, tokenizer.quantizer.codebook.weight
    error = tokenizer(smooth_images(), SCHEDULE).images.square().mean()
    at_first, at_book = torch.autograd.grad(error, (first, book))
    assert at_first.any()
    assert at_book.any(dim=-1).all()
    with torch.no_grad():
        book.copy_(book[:1].clone().expand_as(book))
    error = tokenizer(smooth_images(), SCHEDULE).images.square().mean()
    (none,) = torch.autograd.grad(error, first)
    assert none.abs().max() < 1e-6 * at_first.abs().max() + 1e-9
