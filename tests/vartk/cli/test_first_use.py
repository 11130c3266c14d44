"""What commands that make a model say to type next."""

import sys

from tiny import tiny_model

from vartk.engine.folder import save_model
from vartk.tasks.first_use import first_command


def test_a_model_samples_and_one_of_texts_needs_a_prompt(model_folder, tokenizer_folder, tmp_path):
    assert first_command(model_folder) == f"vartk sample {model_folder} --out DIR"
    assert first_command(tokenizer_folder) == f"vartk reconstruct {tokenizer_folder} IMAGE --out DIR"
    words = {"name": "text", "encoder": "random", "length": 8}
    reading = {"name": "var", "depth": 1, "width": 32, "heads": 2, "cross_attention": True}
    for name, conditioner, prompt in (("text", words, "--prompt TEXT "), ("both", ["class", words], "")):
        folder = tmp_path / name
        save_model(tiny_model(conditioner=conditioner, transformer=reading), folder)
        assert first_command(folder) == f"vartk sample {folder} {prompt}--out DIR"


def test_a_name_that_the_page_does_not_know_is_refused_before_gradio_is_imported(vartk, monkeypatch):
    monkeypatch.setitem(sys.modules, "vartk.app", None)  # cannot be imported
    ran = vartk("app", "emojy64")
    assert ran.code == 2
    assert "no model 'emojy64'" in ran.err
    assert "did you mean 'emoji64'?" in ran.err
