"""Training on a share of the data: nested draws, the codes of a share, and mistakes."""

import pytest
from tiny import Quiet, images_folder, tiny_composed, tiny_config, tiny_model

from vartk.components import plugins
from vartk.engine.folder import save_model
from vartk.engine.recipes import open_datasets, tokenize_dataset, train_transformer
from vartk.engine.tokens import load_tokens
from vartk_registry import VartkError
from vartk_registry.interfaces import ImageDataset, Schedule

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return images_folder(tmp_path_factory.mktemp("data") / "images", train=30)


def opened(images, share, seed=0):
    data = {"data.share": share, "data.seed": seed}
    return open_datasets(tiny_config(images, **data), lambda line: None)


def seen(dataset):
    return {dataset[i].image.tobytes() for i in range(len(dataset))}


def test_shares_are_nested_parts_of_the_training_images(images):
    tenth, half, whole = (opened(images, share)["train"] for share in (0.1, 0.5, 1.0))
    assert [len(each) for each in (tenth, half, whole)] == [3, 15, 30]
    assert seen(tenth) < seen(half) < seen(whole)
    assert isinstance(half, ImageDataset)
    assert half.classes == whole.classes


def test_the_seed_decides_which_images_and_nothing_else_does(images):
    assert seen(opened(images, 0.5)["train"]) == seen(opened(images, 0.5)["train"])
    assert seen(opened(images, 0.5)["train"]) != seen(opened(images, 0.5, seed=1)["train"])


def test_the_validation_images_stay_as_they_are(images):
    assert len(opened(images, 0.1)["validation"]) == len(opened(images, 1.0)["validation"]) == 6


def test_a_share_without_an_image(images):
    with pytest.raises(VartkError, match=r"data.share=0.01 of 30 training images .* take at least 0.033"):
        opened(images, 0.01)


@pytest.mark.parametrize("share", [0, 1.5])
def test_a_share_is_a_part(share):
    with pytest.raises(VartkError, match=r"data.share"):
        tiny_config(**{"data.share": share})


def test_codes_are_those_of_the_share_and_of_no_other(images, tmp_path):
    tokenizer = tmp_path / "tokenizer"
    save_model(tiny_model(predictor=False, classes=[]), tokenizer)
    half = {"data.share": 0.5}
    tokenize_dataset(
        tiny_config(images, **half),
        tokenizer,
        tmp_path / "tokens",
        device="cpu",
        progress=lambda split, done, total: None,
    )
    loaded = load_tokens(tmp_path / "tokens", tokenizer, Schedule.of([1, 2, 4]))
    assert (len(loaded["train"]), len(loaded["validation"])) == (15, 6)

    def trained(out, **settings):
        composed = tiny_composed(images, plugins(), **settings)
        train_transformer(
            composed, tokenizer, tmp_path / "tokens", tmp_path / out, reporter=Quiet(), device="cpu"
        )

    with pytest.raises(VartkError, match=r"those of data.share=0.5 data.seed=0, .* data.share=1 data.seed=0"):
        trained("whole")
    with pytest.raises(VartkError, match=r"data.share=0.5 data.seed=1"):
        trained("other", **half, **{"data.seed": 1})
    assert not (tmp_path / "whole").exists()
    trained("half", **half, **{"train.transformer.steps": 1})
