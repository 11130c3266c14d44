"""What a newcomer types wrongly is said in words that lead on; the commands' own tests have the rest."""

import pytest


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sample", "the following arguments are required: MODEL, --out"),
        ("sample MODEL guidance.scale=strong --out o", "scale='strong' must be a number"),
        ("sample MODEL --prompt pear --out o", "this model draws classes, not prompts; give --class"),
        ("compare MODEL --cache full --prompt pear --out o", "this model draws classes, not prompts; give"),
        ("train tokenizer demo train.tokenizer.steps=many --out o", "steps='many' must be a whole number"),
        ("train both demo transformer.heads=7 --out o", "width=128 is no multiple of heads=7"),
        ("train transformer demo transformer.heads=7 --tokenizer MODEL --out o", "no multiple of heads=7"),
        ("study speeed", "did you mean 'speed'?"),
        ("study speed", "vartk study speed needs a folder for its runs; add --out DIR"),
        ("export MODEL --to onnx --out o", "did you mean 'onnx-decoder'?"),
    ],
)
def test_a_mistake_is_said_in_words_that_lead_on(refused, model_folder, tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    words = [str(model_folder) if word == "MODEL" else word for word in line.split()]
    assert message in refused(*words)
    assert list(tmp_path.iterdir()) == []
