"""Checks of quantizers and tokenizers."""

from __future__ import annotations

import torch
from torch.nn.functional import one_hot

from ..interfaces import CodeSpace, Grid, Quantized, Quantizer, Schedule, Tokenizer, TokenizerOutput
from .rules import mode, require, require_close, require_codes, require_shape


def check_quantizer(quantizer: Quantizer) -> None:
    """Check a quantizer on random vectors, in evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(2, 3, 5, quantizer.dim, generator=generator).requires_grad_()
    with mode(quantizer, training=False):
        quantized = quantizer(vectors)
        require(isinstance(quantized, Quantized), f"it must return Quantized, not {quantized!r}")
        require_codes("codes", quantized.codes, (2, 3, 5), quantizer.space)
        require_shape("quantised vectors", quantized.vectors, vectors.shape)
        require_shape("the penalty", quantized.penalty, ())
        if quantized.vectors.requires_grad:
            (passed,) = torch.autograd.grad(
                quantized.vectors.sum(), vectors, allow_unused=True, retain_graph=True
            )
            require(
                passed is None or not passed.any(),
                "no gradient may pass from the quantised vectors to the input",
            )
        require_close(
            "embed must return the vectors that quantising gave for the same codes",
            quantizer.embed(quantized.codes),
            quantized.vectors,
        )
        again = quantizer(vectors).codes
        require(torch.equal(again, quantized.codes), "evaluation must not change the codebook")
        _check_mix(quantizer, quantized.codes)
        _check_loss(quantizer, vectors.detach(), quantized.vectors.detach())
        _check_space(quantizer.space, quantized.codes[0])


def check_tokenizer(tokenizer: Tokenizer, image_size: Grid, schedule: Schedule) -> None:
    """Check a tokenizer on random images: coding, scale by scale, decoding and training."""
    latent = tuple(tokenizer.latent_grid(image_size))
    require(
        latent == schedule.latent,
        f"latent_grid({image_size}) gives {latent}, but the schedule ends at {schedule.latent}",
    )
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, *image_size, generator=generator) * 2 - 1
    with mode(tokenizer, training=False), torch.no_grad():
        codes = tokenizer.encode(images, schedule)
        _check_scales(codes, schedule, tokenizer.space)
        f_hat = None
        for step, size in enumerate(schedule.sizes):
            if f_hat is not None:
                inputs = tokenizer.next_input(f_hat, step, schedule)
                require_shape(f"the input of scale {step}", inputs, (2, size, tokenizer.channels))
            vectors = tokenizer.embed(codes[step])
            require_shape(f"vectors of scale {step}", vectors, (2, size, tokenizer.channels))
            f_hat = tokenizer.accumulate(f_hat, vectors, step, schedule)
            require_shape("the accumulated latent", f_hat, (2, tokenizer.channels, *latent))
            coded = tokenizer.code(f_hat, step, schedule)
            require_codes(f"codes of what is left at scale {step}", coded, (2, size), tokenizer.space)
        assert f_hat is not None  # a schedule has at least one scale
        decoded = tokenizer.decode(f_hat)
        require_shape("decoded images", decoded, images.shape)
        require(bool((decoded.abs() <= 1).all()), "decoded images must be clamped to [-1, 1]")
        _check_mix(tokenizer, codes[-1])
    _check_space(tokenizer.space, codes[-1])
    with mode(tokenizer, training=True):
        _check_training(tokenizer, images, schedule)


def _check_scales(codes: list[torch.Tensor], schedule: Schedule, space: CodeSpace) -> None:
    require(len(codes) == len(schedule), f"{len(schedule)} scales need as many codes, not {len(codes)}")
    for step, (scale, size) in enumerate(zip(codes, schedule.sizes, strict=True)):
        require_codes(f"codes of scale {step}", scale, (2, size), space)


def _check_training(tokenizer: Tokenizer, images: torch.Tensor, schedule: Schedule) -> None:
    output = tokenizer(images, schedule)
    require(isinstance(output, TokenizerOutput), "training must return a TokenizerOutput")
    require_shape("reconstructed images", output.images, images.shape)
    _check_scales(output.codes, schedule, tokenizer.space)
    for name, loss in output.losses.items():
        require_shape(f"loss {name!r}", loss, ())
    assert isinstance(tokenizer, torch.nn.Module)  # `mode` has required it
    name, first = next((n, p) for n, p in tokenizer.named_parameters() if p.requires_grad)
    total = sum(output.losses.values(), (output.images - images).square().mean())
    (grad,) = torch.autograd.grad(total, first, allow_unused=True)
    require(
        grad is not None and bool(grad.isfinite().all()) and bool(grad.any()),
        f"gradients must reach the first parameter, {name}, through the codes",
    )


def _check_mix(embedder: Quantizer | Tokenizer, codes: torch.Tensor) -> None:
    certain = one_hot(codes, embedder.space.classes).float()
    require_close(
        "mix under weights that are certain of codes must equal embed of these codes",
        embedder.mix(certain),
        embedder.embed(codes),
    )


def _check_loss(quantizer: Quantizer, features: torch.Tensor, approximation: torch.Tensor) -> None:
    loss = quantizer.loss(features, approximation)
    require_shape("the loss", loss, ())
    turned = quantizer.loss(features.transpose(1, -1), approximation.transpose(1, -1))
    require_close("the loss must not depend on the layout of the features", turned, loss)


def _check_space(space: CodeSpace, codes: torch.Tensor) -> None:
    """Check the loss of codes [B, n, *shape]: where it is small, and where it is not."""
    certain = (20 * one_hot(codes, space.classes).float()).requires_grad_()
    right = space.loss(certain, codes, 0.0)
    require_shape("the loss of codes", right, codes.shape[:2])
    wrong = space.loss(certain.detach().roll(1, dims=-1), codes, 0.0)
    smooth = space.loss(certain.detach(), codes, 0.1)
    require(bool((right < wrong).all()), "the right codes must have less loss than wrong ones")
    require(bool((right < smooth).all()), "smoothing must raise the loss of certain logits")
    (grad,) = torch.autograd.grad(right.sum(), certain, allow_unused=True)
    require(grad is not None, "gradients must pass from the loss of codes to the logits")
