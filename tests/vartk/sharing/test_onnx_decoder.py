"""vartk export --to onnx-decoder: another runtime makes torch's images of the same codes."""

import json
import sys

import pytest
import torch
from tiny import CONFIG, tiny_model

import vartk as toolkit
from vartk.engine.codes import split

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

BITS = {
    "tokenizer": {"name": "bsq_vae", "channels": 32, "multipliers": [1, 1, 1], "blocks": 1, "latent": 4},
    "quantizer": "bsq",
}
WIDE = {"image_size": [16, 32], "schedule": "geometric", "tokenizer.attention": True}
MODELS = {
    "wide, with attention": WIDE,
    "bits": BITS,
    "levels, raster": {
        "quantizer": "fsq",
        "tokenizer.latent": 4,
        "schedule": {"name": "raster", "grids": [4]},
    },
    "several codebooks": {"quantizer": {"name": "pq", "branches": 2, "classes": 24}},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_runtime_without_torch_makes_the_same_images(vartk, tmp_path, name):
    model = tiny_model(predictor=False, **MODELS[name])
    toolkit.save(model, tmp_path / "model")
    ran = vartk("export", tmp_path / "model", "--to", "onnx-decoder", "--out", tmp_path / "out")
    assert (ran.code, ran.out.strip()) == (0, str(tmp_path / "out" / "decoder.onnx")), ran
    session = onnxruntime.InferenceSession(tmp_path / "out" / "decoder.onnx")
    space, schedule = model.tokenizer.space, model.schedule.scales
    random = torch.Generator().manual_seed(0)
    for count in (1, 3):
        shape = (count, sum(schedule.sizes), *space.shape)
        codes = torch.randint(space.classes, shape, generator=random)
        (images,) = session.run(["images"], {"codes": codes.numpy()})
        torch.testing.assert_close(
            torch.from_numpy(images), model.decode(split(codes, schedule)), atol=1e-4, rtol=0
        )


def test_the_file_says_what_it_takes_and_gives(vartk, tmp_path):
    toolkit.save(tiny_model(predictor=False, **BITS), tmp_path / "model")
    vartk("export", tmp_path / "model", "--to", "onnx-decoder", "--out", tmp_path / "out")
    session = onnxruntime.InferenceSession(tmp_path / "out" / "decoder.onnx")
    (codes,), (images,) = session.get_inputs(), session.get_outputs()
    assert (codes.name, codes.shape, codes.type) == ("codes", ["batch", 21, 4], "tensor(int64)")
    assert (images.name, images.shape, images.type) == ("images", ["batch", 3, 16, 16], "tensor(float)")
    told = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}
    assert told.pop("vartk")["image_size"] == CONFIG["image_size"]
    assert told == {
        "schedule": [[1, 1], [2, 2], [4, 4]],
        "tokens": [1, 4, 16],
        "code_classes": 2,
        "code_shape": [4],
        "value_range": [-1, 1],
    }


def test_a_missing_library_is_named_with_what_to_type(refused, tmp_path, monkeypatch):
    toolkit.save(tiny_model(predictor=False), tmp_path / "model")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    message = refused("export", tmp_path / "model", "--to", "onnx-decoder", "--out", tmp_path / "out")
    assert "needs onnxscript; type `pip install onnx onnxscript`, or install vartk[onnx]" in message
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_that_looks_at_its_values_is_refused(refused, tmp_path, install):
    install(
        "acme_tokenizer",
        """
        from vartk_plugins.var_vqvae.tokenizer import MultiScaleVQVAE
        from vartk_registry import ComponentSpec, hookimpl

        @hookimpl
        def vartk_components():
            config = "vartk_plugins.var_vqvae.config:VQVAEConfig"
            target = "acme_tokenizer:Looking"
            return [ComponentSpec(kind="tokenizer", name="acme", target=target, config=config, summary="s")]

        class Looking(MultiScaleVQVAE):
            def decode(self, f_hat):
                return super().decode(f_hat if f_hat.mean() > 0 else -f_hat)
        """,
    )
    tokenizer = {**CONFIG["tokenizer"], "name": "acme"}
    toolkit.save(tiny_model(predictor=False, tokenizer=tokenizer), tmp_path / "model")
    message = refused("export", tmp_path / "model", "--to", "onnx-decoder", "--out", tmp_path / "out")
    assert message.startswith("vartk: tokenizer 'acme' cannot be exported to ONNX: Could not guard on data")
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "out").exists()
