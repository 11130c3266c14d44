import math

import numpy as np
import pytest
import torch

from vartk_registry import VartkError, discover

REGISTRY = discover(["vartk_plugins.image_metrics"]).registry


def compute(name, *batches):
    metric = REGISTRY.build("metric", name, {})
    for images, reference in batches:
        metric.update(images, reference)
    return metric.compute()


def pictures(seed, batch=2, height=16, width=13):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_psnr_by_hand():
    black = torch.zeros(1, 3, 2, 2)
    # errors of .1, .01 and 1 everywhere: 20, 40 and 0 dB; of 1 in one of 12 values: 10.79 dB
    assert compute("psnr", (black + 0.1, black))["psnr_db"] == pytest.approx(20, abs=1e-4)
    one_value = black.clone()
    one_value[0, 1, 0, 1] = 1
    assert compute("psnr", (one_value, black))["psnr_db"] == pytest.approx(10 * math.log10(12))
    batches = [
        (torch.cat([black + 0.1, black + 0.01]), torch.cat([black, black])),
        (black + 1, black),
    ]
    assert compute("psnr", *batches)["psnr_db"] == pytest.approx((20 + 40 + 0) / 3, abs=1e-4)
    assert compute("psnr", (black, black))["psnr_db"] == math.inf


def test_psnr_of_half_precision_is_computed_in_single():
    reference = torch.full((1, 3, 4, 4), 0.5, dtype=torch.bfloat16)
    found = compute("psnr", (reference + 2**-8, reference))["psnr_db"]
    assert found == pytest.approx(20 * math.log10(2**8), abs=1e-4)


def ssim_by_windows(x_CHW, y_CHW):
    """Wang et al., eq. 13, window by window in float64."""
    offset = np.arange(-5, 6)
    gauss = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * 1.5**2))
    gauss /= gauss.sum()
    values = []
    for x, y in zip(x_CHW, y_CHW, strict=True):
        for top in range(x.shape[0] - 10):
            for left in range(x.shape[1] - 10):
                a = x[top : top + 11, left : left + 11]
                b = y[top : top + 11, left : left + 11]
                mean_a, mean_b = (gauss * a).sum(), (gauss * b).sum()
                var_a = (gauss * (a - mean_a) ** 2).sum()
                var_b = (gauss * (b - mean_b) ** 2).sum()
                covariance = (gauss * (a - mean_a) * (b - mean_b)).sum()
                values.append(
                    (2 * mean_a * mean_b + 1e-4)
                    * (2 * covariance + 9e-4)
                    / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
                )
    return np.mean(values)


def test_ssim_against_window_by_window():
    x, noise = pictures(0), pictures(1)
    y = 0.7 * x + 0.3 * noise
    expected = np.mean(
        [ssim_by_windows(a, b) for a, b in zip(x.double().numpy(), y.double().numpy(), strict=True)]
    )
    assert 0.5 < expected < 0.95
    assert compute("ssim", (x, y))["ssim"] == pytest.approx(expected, abs=1e-5)
    assert compute("ssim", (x[:1], y[:1]), (x[1:], y[1:]))["ssim"] == pytest.approx(expected, abs=1e-5)


def test_ssim_of_equal_images_and_symmetry():
    x, y = pictures(2), pictures(3)
    assert compute("ssim", (x, x))["ssim"] == pytest.approx(1, abs=1e-6)
    assert compute("ssim", (x, y)) == compute("ssim", (y, x))
    # flat images differ in luminance alone: (2 * .5 * .25 + C1) / (.5**2 + .25**2 + C1)
    flat = torch.full((1, 3, 11, 11), 0.5)
    assert compute("ssim", (flat, flat / 2))["ssim"] == pytest.approx(0.2501 / 0.3126, abs=1e-4)


def test_errors_say_what_is_wrong():
    with pytest.raises(VartkError, match=r"\(1, 3, 4, 4\).*\(1, 3, 4, 5\)"):
        compute("psnr", (torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5)))
    with pytest.raises(VartkError, match=r"at least 11x11, not \(10, 64\)"):
        compute("ssim", (torch.zeros(1, 3, 10, 64), torch.zeros(1, 3, 10, 64)))
    with pytest.raises(VartkError, match="no images"):
        compute("ssim")


def test_both_equal_those_of_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    images, reference = pictures(5, batch=3, height=40, width=31), pictures(6, batch=3, height=40, width=31)
    images = (0.7 * reference + 0.3 * images).double()
    pairs = list(zip(images.numpy(), reference.double().numpy(), strict=True))
    psnr = np.mean([metrics.peak_signal_noise_ratio(b, a, data_range=1) for a, b in pairs])
    assert compute("psnr", (images, reference))["psnr_db"] == pytest.approx(psnr, abs=1e-5)
    as_published = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 1}
    ssim = np.mean([metrics.structural_similarity(a, b, channel_axis=0, **as_published) for a, b in pairs])
    assert compute("ssim", (images, reference))["ssim"] == pytest.approx(ssim, abs=1e-6)
