import json

import pytest
import torch
from PIL import Image
from tiny import CLASSES, images_folder, tiny_config, tiny_model

from vartk.engine.data import Images
from vartk.engine.folder import save_model
from vartk.engine.recipes import open_datasets, tokenize_dataset
from vartk.engine.tokens import load_tokens, token_classes
from vartk_registry import VartkError
from vartk_registry.interfaces import Schedule

SCHEDULE = Schedule.of([1, 2, 4])


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tokenizer"
    save_model(tiny_model(predictor=False, classes=[]), folder)
    return folder


def tokenize(config, tokenizer, folder, seen=None):
    def progress(*args):
        if seen is not None:
            seen.append(args)

    tokenize_dataset(config, tokenizer, folder, device="cpu", progress=progress, event=lambda text: None)
    return folder


@pytest.fixture(scope="module")
def tokens(images, tokenizer, tmp_path_factory):
    config = tiny_config(images, **{"train.transformer.views": 3, "augment.flip": True})
    return tokenize(config, tokenizer, tmp_path_factory.mktemp("tokens") / "tokens")


def test_every_view_is_encoded_as_the_model_does(images, tokenizer, tokens):
    loaded = load_tokens(tokens, tokenizer, SCHEDULE)
    config = tiny_config(images, **{"augment.flip": True})
    datasets = open_datasets(config, lambda text: None)
    model = tiny_model(predictor=False)

    def codes(made):
        return torch.cat(model.encode(torch.stack(made)), dim=1)

    train = Images(datasets["train"], (16, 16), config.augment, seed=0)
    views = [(turn, index) for turn in range(3) for index in range(9)]
    assert torch.equal(loaded["train"].codes.long(), codes([train[view] for view in views]))
    held_out = Images(datasets["validation"], (16, 16))
    assert torch.equal(loaded["validation"].codes.long(), codes([held_out[i] for i in range(6)]))
    assert not torch.equal(loaded["train"].codes[:9], loaded["train"].codes[9:18])


def test_labels_and_sizes(tokens, tokenizer):
    loaded = load_tokens(tokens, tokenizer, SCHEDULE)
    assert (len(loaded["train"]), len(loaded["validation"])) == (27, 6)
    assert loaded["train"].labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2] * 3
    assert loaded["train"].codes.shape == (27, 21)
    assert loaded["train"].captions == [""] * 27
    assert token_classes(tokens) == CLASSES


@pytest.mark.parametrize(
    ("classes", "dtype"), [(256, torch.uint8), (257, torch.int16), (32768, torch.int16), (32769, torch.int32)]
)
def test_codes_are_as_small_as_their_classes_allow(images, tmp_path, classes, dtype):
    overrides = {"quantizer": {"name": "vq", "classes": classes}}
    save_model(tiny_model(predictor=False, classes=[], **overrides), tmp_path / "model")
    tokens = tokenize(tiny_config(images, **overrides), tmp_path / "model", tmp_path / "tokens")
    loaded = load_tokens(tokens, tmp_path / "model", SCHEDULE)
    assert loaded["train"].codes.dtype == dtype


def test_captions_are_kept_for_every_view(tokenizer, tmp_path):
    for index in range(3):
        Image.new("RGB", (20, 16), (80 * index, 0, 0)).save(tmp_path / f"{index}.png")
    lines = [
        {"file_name": f"{i}.png", "caption": f"number {i}", "split": "train" if i else "validation"}
        for i in range(3)
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    config = tiny_config(tmp_path, **{"train.transformer.views": 2})
    loaded = load_tokens(tokenize(config, tokenizer, tmp_path / "tokens"), tokenizer, SCHEDULE)
    assert loaded["train"].captions == ["number 1", "number 2"] * 2
    assert loaded["validation"].captions == ["number 0"]


def test_progress_counts_views(images, tokenizer, tmp_path):
    seen = []
    tokenize(tiny_config(images, **{"train.transformer.views": 4}), tokenizer, tmp_path / "tokens", seen)
    assert seen == [("train", 32, 36), ("train", 36, 36), ("validation", 6, 6)]


def test_an_empty_validation_split(tokenizer, tmp_path):
    for label in CLASSES:
        (tmp_path / "images" / label).mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(tmp_path / "images" / label / "1.png")
    config = tiny_config(tmp_path / "images", **{"dataset.validation": 0})
    loaded = load_tokens(tokenize(config, tokenizer, tmp_path / "tokens"), tokenizer, SCHEDULE)
    assert loaded["validation"].codes.shape == (0, 21)
    assert loaded["validation"].labels.shape == (0,)


def test_tokens_of_another_tokenizer_are_refused(tokens, tmp_path):
    save_model(tiny_model(1, predictor=False), tmp_path / "other")
    with pytest.raises(VartkError, match="made by another tokenizer; make them again with `vartk tokenize`"):
        load_tokens(tokens, tmp_path / "other", SCHEDULE)


def test_tokens_for_another_schedule_are_refused(tokens, tokenizer):
    with pytest.raises(VartkError, match="for the schedule 1, 2, 4, not 1, 4"):
        load_tokens(tokens, tokenizer, Schedule.of([1, 4]))


def test_a_configuration_of_another_tokenizer_is_refused(images, tokenizer, tmp_path):
    config = tiny_config(images, quantizer={"name": "vq", "classes": 99})
    with pytest.raises(VartkError, match=r"the configuration is not that of the tokenizer .*quantizer is"):
        tokenize(config, tokenizer, tmp_path / "tokens")
    assert not (tmp_path / "tokens").exists()


def test_existing_tokens_are_not_overwritten(images, tokenizer, tokens):
    with pytest.raises(VartkError, match="exists and is not overwritten"):
        tokenize(tiny_config(images), tokenizer, tokens)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokens.json", None, r"is not a folder of tokens: tokens\.json"),
        ("tokens.json", "{", r"is not a folder of tokens: tokens\.json"),
        ("train.captions.json", None, r"is not a folder of tokens: train\.captions\.json"),
        ("train.safetensors", None, r"train\.safetensors is missing"),
        ("validation.safetensors", "xyz", r"validation\.safetensors is truncated"),
    ],
)
def test_damaged_tokens(tokens, tokenizer, tmp_path, name, content, message):
    for path in tokens.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(VartkError, match=message):
        load_tokens(tmp_path, tokenizer, SCHEDULE)


def test_no_tokens_at_all(tmp_path):
    with pytest.raises(VartkError, match="is not a folder of tokens"):
        token_classes(tmp_path)
