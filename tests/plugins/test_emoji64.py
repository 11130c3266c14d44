import io
import pickle
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from vartk_plugins.emoji64.archive import DATA, GROUPS, STYLES, records
from vartk_registry import ParamErrors, UnknownName, VartkError, discover

REGISTRY = discover(["vartk_plugins.emoji64"]).registry


def build(split="train", **params):
    return REGISTRY.build("dataset", "emoji64", params, split=split)


def test_has_the_images_that_the_card_promises():
    train, validation = records("train"), records("validation")
    assert (len(train), len(validation)) == (len(build()), len(build("validation"))) == (7332, 728)
    assert Counter(record["style"] for record in train + validation) == {
        "fluent-3d": 1852,
        "fluent-color": 1551,
        "fluent-flat": 1551,
        "noto": 1906,
        "noto-blob": 1200,
    }
    assert {record["group"] for record in train} == set(GROUPS)
    assert set(STYLES) == {record["style"] for record in train}


def test_no_validation_emoji_is_in_train_in_any_style():
    emoji = [{record["emoji"] for record in records(split)} for split in ("train", "validation")]
    assert not emoji[0] & emoji[1]


def test_every_image_is_64x64_rgb_with_a_class_and_a_caption():
    dataset = build("validation")
    labels = set()
    for example in (dataset[index] for index in range(len(dataset))):
        assert (example.image.size, example.image.mode) == ((64, 64), "RGB")
        assert example.caption
        labels.add(example.label)
    # no fluent flag and no blob flag is held out
    assert {dataset.classes[label] for label in set(range(45)) - labels} == {
        "flags-fluent-color",
        "flags-fluent-flat",
        "flags-noto-blob",
    }
    with pytest.raises(IndexError):
        dataset[728]


@pytest.mark.parametrize(
    ("classes", "number", "name"),
    [("group-style", 45, "food-fluent-3d"), ("group", 9, "food"), ("style", 5, "fluent-3d")],
)
def test_classes_by_group_style_or_both(classes, number, name):
    dataset = build(classes=classes)
    captions = [record["caption"] for record in records("train")]
    apple = dataset[captions.index("3d render of red apple")]
    assert len(set(dataset.classes)) == number
    assert dataset.classes[apple.label] == name
    red, green, blue = np.asarray(apple.image)[32, 32].tolist()
    assert red > 2 * max(green, blue)


def test_an_emoji_has_captions_of_its_name_keywords_and_style():
    captions = [record["caption"] for record in records("train")]
    apple = build()[captions.index("flat drawing of red apple")]
    plain, long = apple.others
    assert plain == "a red apple, flat style"
    assert long.startswith("red apple, fruit, ")
    assert long.endswith(", flat style")


def test_combinations_are_parted_so_that_every_emoji_stays_in_other_styles():
    seen, unseen = (build(combinations=part) for part in ("seen", "unseen"))
    assert len(seen) + len(unseen) == 7332
    assert 150 < len(unseen) < 250
    plain = {seen[i].others[0].rpartition(", ")[0] for i in range(len(seen))}
    assert {unseen[i].others[0].rpartition(", ")[0] for i in range(len(unseen))} <= plain
    assert len(build("validation", combinations="seen")) == 728


def test_groups_and_styles_restrict_images_and_classes_in_one_order():
    dataset = build(groups=["flags", "food"], styles=["noto-blob", "noto"])
    assert dataset.classes == ["food-noto", "food-noto-blob", "flags-noto", "flags-noto-blob"]
    labels = Counter(dataset[index].label for index in range(len(dataset)))
    assert labels == {0: 115, 1: 79, 2: 240, 3: 5}


def test_errors_name_what_is_valid():
    with pytest.raises(UnknownName, match=r"split.*'test'.*Valid: train, validation"):
        build("test")
    with pytest.raises(UnknownName, match=r"group .*'foods'; did you mean 'food'\?"):
        build(groups=["foods"])
    with pytest.raises(UnknownName, match=r"style .*'blob'.*noto-blob"):
        build(styles=["blob"])
    with pytest.raises(ParamErrors, match="group-style"):
        build(classes="emoji")
    with pytest.raises(VartkError, match="no validation images of groups flags in styles noto-b"):
        build("validation", groups=["flags"], styles=["noto-blob"])


def test_workers_read_what_the_main_process_reads():
    dataset = build("validation", groups=["food"], styles=["noto"])
    expected = [dataset[index].image.tobytes() for index in range(len(dataset))]
    loader = DataLoader(
        dataset,
        batch_size=4,
        num_workers=1,
        multiprocessing_context="fork",
        collate_fn=lambda examples: [example.image.tobytes() for example in examples],
    )
    assert [image for batch in loader for image in batch] == expected
    assert pickle.loads(pickle.dumps(dataset))[0].image.tobytes() == expected[0]


def test_container_is_the_imagefolder_layout_with_its_licences():
    with zipfile.ZipFile(DATA / "emoji64.zip") as archive:
        images = archive.infolist()[:-1]
        assert archive.infolist()[-1].filename == "metadata.jsonl"
        assert {entry.compress_type for entry in images} == {zipfile.ZIP_STORED}
        assert len({entry.date_time for entry in images}) == 1
        assert Image.open(io.BytesIO(archive.read(images[0]))).format == "WEBP"
    named = {record["file_name"] for split in ("train", "validation") for record in records(split)}
    assert named == {entry.filename for entry in images}
    assert "Microsoft Corporation, MIT License" in (DATA / "EMOJI_LICENSES.txt").read_text()
    assert "Version 2.0" in (DATA / "LICENSE-APACHE-2.0").read_text()
