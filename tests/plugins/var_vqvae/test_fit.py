"""The codebook starts with what images leave to quantise at each scale."""

import pytest
import torch
from tiny_tokenizer import SCHEDULE, build_tokenizer, smooth_images

from vartk_registry import VartkError
from vartk_registry.interfaces import FittedTokenizer


def error(tokenizer):
    """The error of the whole approximation of the latent."""
    with torch.no_grad():
        features = tokenizer.eval().features(smooth_images())
        f_hat = None
        for step, codes in enumerate(tokenizer.encode(smooth_images(), SCHEDULE)):
            f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(codes), step, SCHEDULE)
        return (f_hat - features).square().mean().item()


@pytest.mark.parametrize("name", ["vq", "vq-ema", "simvq", "ibq"])
def test_it_approximates_better_than_a_random_codebook(name):
    tokenizer = build_tokenizer("vq", name, {"classes": 16})
    assert isinstance(tokenizer, FittedTokenizer)
    before = error(tokenizer)
    tokenizer.train().fit([smooth_images()], SCHEDULE)
    assert tokenizer.training
    assert error(tokenizer) < 0.95 * before


def test_each_scale_weighs_the_same_and_is_what_the_coarser_ones_leave():
    """The vectors that the last fitting sees, computed with the codebook that the one before made."""
    tokenizer = build_tokenizer("vq", "vq", {"classes": 16}).eval()
    seen = []
    fit = tokenizer.quantizer.fit

    def recorded(vectors, weights):
        seen.append((vectors, weights, [p.detach().clone() for p in tokenizer.quantizer.parameters()]))
        fit(vectors, weights)

    tokenizer.quantizer.fit = recorded
    tokenizer.fit([smooth_images()[:1], smooth_images()[1:]], SCHEDULE)
    vectors, weights, (book,) = seen[-1]
    sizes = [4 * 4, 4 * 16, 4 * 64]
    for part, size in zip(weights.split(sizes), sizes, strict=True):
        assert part.unique().tolist() == pytest.approx([1 / size])
    with torch.no_grad():
        features = tokenizer.features(smooth_images())
        coarse, middle, fine = (part.view(4, -1, 8) for part in vectors.split(sizes))
        area = torch.nn.functional.adaptive_avg_pool2d
        torch.testing.assert_close(coarse.mT.unflatten(2, (2, 2)), area(features, 2))
        first = book[torch.cdist(coarse, book).argmin(-1)]
        rest = features - tokenizer.accumulate(None, first, 0, SCHEDULE)
        torch.testing.assert_close(middle.mT.unflatten(2, (4, 4)), area(rest, 4))
        second = book[torch.cdist(middle, book).argmin(-1)]
        rest = rest - tokenizer.accumulate(None, second, 1, SCHEDULE)
        torch.testing.assert_close(fine.mT.unflatten(2, (8, 8)), rest)


def test_a_quantizer_without_a_codebook_is_refused():
    tokenizer = build_tokenizer("fsq", "fsq", {"levels": [3] * 8})
    with pytest.raises(VartkError, match=r"FiniteScalarQuantizer has no codebook.*kmeans_images=0"):
        tokenizer.fit([smooth_images()], SCHEDULE)
