"""Protocols by name, and which parts of an evaluation are not theirs."""

import json

import numpy as np
import pytest
import tiny

from vartk.evaluation.against.protocols import PROTOCOLS, find_protocol
from vartk.evaluation.against.report import report
from vartk_registry import VartkError

ADM = PROTOCOLS["adm-50k"]


def made(**other):
    """What an evaluation by the protocol returns, but for some parts."""
    return {
        "images": "var-d16",
        "reference": "cache/VIRTUAL_imagenet256_labeled.npz",
        "feature": "Inception",
        "published": {"fd": "FID"},
        "n": 50_000,
        "m": 10_000,
        "stored_moments": ["features", "spatial"],
        "size": (256, 256),
        "reference_size": (256, 256),
        "numbers": {"fd": 3.3},
        "remarks": [],
        "class_counts": [50] * 1000,
        "seed": 0,
        "sampling": {"guidance": {"scale": 1.5}},
        "computed_in": "bfloat16",
        "other_settings": [],
        "device": "cuda",
        "versions": {"vartk": "0"},
        **other,
    }


def test_the_protocol_itself_has_no_departures():
    assert ADM.departures(made()) == []
    result = made()
    text = report({**result, "protocol": {"name": "adm-50k", "departures": []}})
    assert "| FID | 3.3 |" in text
    assert "All parts are those of the protocol adm-50k." in text
    assert "| classes | 1000, with 50 images each |" in text
    assert "| computed in | bfloat16 |" in text
    assert "stored mean and covariance of features and spatial" in text


@pytest.mark.parametrize(
    ("other", "phrase"),
    [
        ({"feature": "ELite0", "published": {}}, "the feature is ELite0 and not inception"),
        ({"n": 10_000}, "there are 10,000 images and not 50,000"),
        ({"reference": "val.npz"}, "the reference is val.npz and not VIRTUAL_imagenet256_labeled.npz"),
        ({"size": (64, 64)}, "no reference is published for images of 64x64 pixels"),
        ({"stored_moments": []}, "the reference lacks the stored statistics of all training images"),
        (
            {"class_counts": [49, 51, *[50] * 998]},
            "1,000 classes with 49 to 51 images each and not 1,000 with 50",
        ),
        (
            {"other_settings": [["cache.name", "full", "ams_kv"]]},
            "cache.name is ams_kv and not full, the model's own",
        ),
        ({"remarks": ["9 images of 50000 are JPEG files."]}, "JPEG files: 9 images"),
    ],
)
def test_each_part_that_differs_is_named(other, phrase):
    (found,) = ADM.departures(made(**other))
    assert phrase in found
    text = report({**made(**other), "protocol": {"name": "adm-50k", "departures": [found]}})
    assert "Not comparable to published FID (protocol adm-50k):" in text
    assert phrase in text


def test_the_reference_lies_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VARTK_CACHE", str(tmp_path))
    path = tmp_path / "references" / "VIRTUAL_imagenet512.npz"
    path.parent.mkdir()
    path.touch()
    assert ADM.reference((512, 512)) == path
    with pytest.raises(VartkError, match="images of 256x256, 512x512 pixels, and these are 64x64"):
        ADM.reference((64, 64))
    with pytest.raises(VartkError, match="unknown protocol 'adm-5k'; did you mean 'adm-50k'"):
        find_protocol("adm-5k")


def test_what_is_not_typed_is_the_protocol_s(vartk, refused, model_folder, eyes, tmp_path):
    """50 samples of each class with seeds of their own; what is typed departs from it, and is told."""
    np.savez(
        tmp_path / "real.npz", np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    )
    words = ("eval", model_folder, "--protocol", "adm-50k", f"feature={eyes}", "batch=50")
    ran = vartk(*words, "--reference", tmp_path / "real.npz", "metrics=[fd]", "guidance.scale=2", "--json")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    assert (result["n"], result["class_counts"]) == (50 * len(tiny.CLASSES), [50, 50, 50])
    assert "Not comparable to published FID" in ran.err
    assert "- guidance.scale is 2.0 and not 1.5, the model's own" in ran.err
    assert "batch is" not in ran.err
    # its metrics need logits, which this feature does not give
    assert "metric 'sfd' needs spatial" in refused(*words, "--reference", tmp_path / "real.npz")
    assert "these are 16x16; name a reference" in refused(*words, "metrics=[fd]")
    np.savez(tmp_path / "made.npz", np.zeros((4, 16, 16, 3), np.uint8))
    assert "these are 16x16; name a reference" in refused(
        "eval", tmp_path / "made.npz", "--protocol", "adm-50k", f"feature={eyes}", "metrics=[fd]"
    )
