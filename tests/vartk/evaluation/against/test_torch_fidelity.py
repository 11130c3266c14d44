"""A whole evaluation beside torch-fidelity's own, on the same images with the same weights."""

import json

import numpy as np
import pytest
import tiny
from inception_weights import save_weights

fidelity = pytest.importorskip("torch_fidelity")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_weights(tmp_path_factory.mktemp("weights") / "inception.pth")


def evaluate(vartk, weights, images, reference, *words):
    feature = ("feature=inception", f"feature.weights={weights}")
    ran = vartk("eval", images, "--reference", reference, *feature, *words, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out.splitlines()[-1])


@pytest.mark.slow
def test_the_same_numbers_of_the_same_folders(vartk, weights, tmp_path):
    folder = tiny.images_folder(tmp_path / "images", train=18, validation=18, size=(32, 32))
    metrics = "metrics=[fd,kid,is]"
    made = evaluate(vartk, weights, folder / "train", folder / "validation", metrics)["numbers"]
    expected = fidelity.calculate_metrics(
        input1=str(folder / "train"),
        input2=str(folder / "validation"),
        samples_find_deep=True,
        feature_extractor_weights_path=str(weights),
        cuda=False,
        fid=True,
        isc=True,
        isc_splits=1,
        kid=True,
        kid_subsets=1,
        kid_subset_size=18,
        save_cpu_ram=True,
        verbose=False,
        cache=False,
    )
    # of fewer images than numbers the roots of rounding errors remain; test_torch_fidelity.py has 1e-6
    assert made["fd"] == pytest.approx(expected["frechet_inception_distance"], rel=1e-3)
    assert made["is"] == pytest.approx(expected["inception_score_mean"], rel=1e-5)
    assert made["kid"] == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4)


@pytest.mark.slow
def test_a_file_as_the_adm_suite_publishes_it(vartk, weights, tmp_path):
    """FID from its stored statistics, precision from its images; and the same file as vartk saves it."""
    pixels = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", pixels[:5])
    np.savez(tmp_path / "b.npz", pixels[5:])
    saved = tmp_path / "saved.npz"
    words = ("metrics=[fd,sfd,precision_recall]", "--save-reference", saved)
    made = evaluate(vartk, weights, tmp_path / "a.npz", tmp_path / "b.npz", *words)
    assert made["published"]["fd"] == "FID"
    with np.load(saved) as statistics:
        assert statistics["mu"].shape == (2048,)
        assert statistics["sigma_s"].shape == (2023, 2023)
        named = {name: statistics[name] for name in ("mu", "sigma", "mu_s", "sigma_s")}
    np.savez(tmp_path / "adm.npz", arr_0=pixels[5:], **named)
    again = evaluate(vartk, weights, tmp_path / "a.npz", tmp_path / "adm.npz", words[0])
    assert again["stored_moments"] == ["features", "spatial"]
    assert again["numbers"] == pytest.approx(made["numbers"], rel=1e-4)
    assert "the feature is" not in " ".join(again["protocol"]["departures"])
