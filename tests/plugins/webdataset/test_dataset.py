"""The dataset `webdataset`: images, labels and captions, by index."""

import json
import pickle

import numpy as np
import pytest
from shards import REGISTRY, build, image, numbers, shard, told
from torch.utils.data import DataLoader

from vartk_registry import ParamErrors, UnknownName, VartkError
from vartk_registry.testing import check_dataset


def test_indices_and_captions(tmp_path):
    path = shard(
        tmp_path / "1.tar",
        {
            "a.cls": "2\n",
            "a.png": image(1),
            "a.txt": "ein roter Käse\n",
            "b.cls": "0",
            "b.jpeg": image(2, "JPEG"),
            "b.seg.png": image(9),
            "dir.v1/c.WEBP": image(3, "WEBP"),
            "dir.v1/c.cls": b"1",
            "._a.png": b"of a Mac",
        },
    )
    dataset = build(path)
    check_dataset(dataset)
    assert (dataset.classes, dataset.skipped) == (["0", "1", "2"], [])
    assert numbers(dataset) == [1, 2, 3]
    assert told(dataset) == [(2, "ein roter Käse"), (0, ""), (1, "")]
    assert dataset[-1].image.tobytes() == dataset[2].image.tobytes()
    assert told(build(path, classes=["x", "y", "z"])) == told(dataset)
    with pytest.raises(IndexError):
        dataset[3]


def test_class_names_of_both_splits(tmp_path):
    train = shard(tmp_path / "1.tar", {"a.png": image(1), "a.cls": "dog", "b.png": image(2), "b.cls": "9"})
    held_out = shard(tmp_path / "2.tar", {"c.png": image(3), "c.cls": "a cat"})
    splits = [build(train, split, validation=str(held_out)) for split in ("train", "validation")]
    assert [dataset.classes for dataset in splits] == [["9", "a cat", "dog"]] * 2
    assert [told(dataset) for dataset in splits] == [[(2, ""), (0, "")], [(1, "")]]
    assert len(build(train, "validation")) == 0


def test_json_counts_where_there_is_no_cls_and_no_txt(tmp_path):
    rows = {
        "a": {"label": 1, "caption": "first", "url": None},
        "b": {"class": "0", "text": "second"},
        "c": {"label": 0, "caption": "not this"},
    }
    files = {}
    for number, (key, row) in enumerate(rows.items()):
        files |= {f"{key}.json": json.dumps(row), f"{key}.png": image(number)}
    files |= {"c.cls": "1", "c.txt": "third"}
    dataset = build(shard(tmp_path / "1.tar", files))
    assert dataset.classes == ["0", "1"]
    assert told(dataset) == [(1, "first"), (0, "second"), (1, "third")]


def test_images_alone_are_one_class(tmp_path):
    dataset = build(shard(tmp_path / "1.tar", {"a.png": image(1), "b.png": image(2), "b.txt": "two"}))
    assert dataset.classes == ["image"]
    assert told(dataset) == [(0, ""), (0, "two")]


def test_class_names_in_a_file(tmp_path):
    path = shard(tmp_path / "1.tar", {"a.png": image(1), "a.cls": "crane", "b.png": image(2), "b.cls": "2"})
    names = tmp_path / "classes.txt"
    names.write_text("crane\nmaillot\nmaillot\n")  # as among the names of ImageNet
    dataset = build(path, classes=str(names))
    assert dataset.classes == ["crane", "maillot", "maillot"]
    assert told(dataset) == [(0, ""), (2, "")]
    with pytest.raises(
        VartkError, match=r"'crane' in .*1.tar is neither the name of one class nor the index"
    ):
        build(path, classes=["crane", "crane", "x"])
    with pytest.raises(VartkError, match=r"the label '2' in .* there is 1 name in dataset.classes"):
        build(path, classes=["crane"])
    with pytest.raises(VartkError, match=r"none.txt' cannot be read .* one name a line"):
        build(path, classes=str(tmp_path / "none.txt"))


def test_numbers_that_are_no_indices(tmp_path):
    path = shard(tmp_path / "1.tar", {"a.png": image(1), "a.cls": "20260101"})
    with pytest.raises(VartkError, match="as high as 20260101"):
        build(path)
    assert told(build(path, classes=["20250101", "20260101"])) == [(1, "")]


def test_what_the_splits_are_made_of_is_checked(tmp_path):
    path = shard(tmp_path / "1.tar", {"a.png": image(1), "a.cls": "0"})
    with pytest.raises(UnknownName, match="Valid: train, validation"):
        build(path, "test")
    with pytest.raises(VartkError, match="needs train, the training shards"):
        REGISTRY.build("dataset", "webdataset", {}, split="validation")
    with pytest.raises(VartkError, match=r"1.tar is in train and in validation"):
        build(path, validation=str(tmp_path))
    (tmp_path / "sub").mkdir()
    with pytest.raises(VartkError, match=r"1.tar is .*1.tar, and so in train and in validation; take"):
        build(path, validation=str(tmp_path / "sub" / ".." / "1.tar"))
    link = tmp_path / "sub" / "link.tar"
    link.symlink_to(path)
    with pytest.raises(VartkError, match=r"link.tar is .*1.tar, and so twice in train; name it once"):
        build([path, link])
    with pytest.raises(VartkError, match=r"1.tar is twice in train; name it once"):
        build([path, tmp_path / "*.tar"])
    assert build(link).name(0) == "link.tar: a.png"
    with pytest.raises(ParamErrors, match="classes"):
        build(path, classes={"a": 1})
    other = shard(tmp_path / "2.tar", {"b.png": image(1)})
    with pytest.raises(VartkError, match=r"2.tar has no labels, though there are classes"):
        build([path, other])
    empty = shard(tmp_path / "3.tar", {"read me.txt": "hello"})
    with pytest.raises(
        VartkError, match=r"no sample in the validation shards, 1 file\n  3.tar: read me: no .jpg"
    ):
        build(path, "validation", validation=str(empty))


def seen(example):
    return example.image.getpixel((0, 0))[0] // 10, example.label, example.caption


def test_workers_see_the_same(tmp_path):
    for number in range(2):
        files = {}
        for index in range(5):
            key = f"{5 * number + index:03}"
            files |= {f"{key}.png": image(5 * number + index), f"{key}.cls": str(index), f"{key}.txt": key}
        shard(tmp_path / f"{number}.tar", files)
    dataset = build(tmp_path)
    expected = [seen(example) for example in dataset]
    assert expected[6] == (6, 1, "006")
    order = np.random.default_rng(0).permutation(10).tolist()
    loader = DataLoader(
        dataset,
        sampler=order,
        batch_size=None,
        collate_fn=seen,
        num_workers=2,
        multiprocessing_context="fork",
    )
    assert list(loader) == [expected[index] for index in order]
    sent = pickle.loads(pickle.dumps(dataset))  # as to workers that are not forked
    assert [seen(example) for example in sent] == expected
