import gzip
import io
import json
import logging
import os
import pickle
import shutil
import subprocess
import tarfile

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny import CLASSES, images_folder, tiny_config
from torch.utils.data import DataLoader

from vartk.cli.main import main
from vartk.config import plain
from vartk.engine.training import Run
from vartk.files import load_tensors
from vartk_registry import ParamErrors, UnknownName, VartkError, discover
from vartk_registry.testing import check_dataset

REGISTRY = discover(["vartk_plugins.webdataset"]).registry


def build(train, split="train", **params):
    train = [str(path) for path in train] if isinstance(train, list) else str(train)
    return REGISTRY.build("dataset", "webdataset", {"train": train, **params}, split=split)


def image(number, kind="PNG"):
    """An image that `numbers` knows again."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), (10 * number, 0, 0)).save(stream, kind)
    return stream.getvalue()


def damaged_jpeg():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    return stream.getvalue()[: stream.tell() // 2]


def shard(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def numbers(dataset):
    return [round(dataset[index].image.getpixel((2, 2))[0] / 10) for index in range(len(dataset))]


def told(dataset):
    return [(example.label, example.caption) for example in dataset]


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


def test_shards_lie_in_the_order_given(tmp_path):
    for number in (8, 9, 10, 11):
        shard(tmp_path / "s" / f"x-{number:02}.tar", {"a.png": image(number), "b.png": image(number + 10)})
    (tmp_path / "s" / "notes.txt").write_text("not mine")
    every = [8, 18, 9, 19, 10, 20, 11, 21]
    assert numbers(build(tmp_path / "s")) == every
    assert numbers(build(tmp_path / "s" / "*.tar")) == every
    assert numbers(build(tmp_path / "s" / "x-{08..11}.tar")) == every
    assert numbers(build([tmp_path / "s" / "x-{10..11}.tar", tmp_path / "s" / "x-*9.tar"])) == [
        *every[4:],
        *every[2:4],
    ]


def test_files_lie_in_the_order_of_the_shard(tmp_path):
    files = {"b.png": image(2), "a.png": image(1), "b.cls": "1", "a.cls": "0"}
    dataset = build(shard(tmp_path / "1.tar", files))
    assert numbers(dataset) == [2, 1]
    assert [label for label, _ in told(dataset)] == [1, 0]


@pytest.mark.parametrize(
    ("pattern", "looked_for"),
    [
        ("x-{00..03}.tar", r"no file .*x-02.tar, of '.*x-\{00..03\}.tar'"),
        ("y*.tar", r"no file .*y\*.tar;"),
        ("folder", r"no .tar file in the folder .*folder;"),
    ],
)
def test_patterns_that_match_nothing(tmp_path, pattern, looked_for):
    (tmp_path / "folder").mkdir()
    for number in range(2):
        shard(tmp_path / f"x-{number:02}.tar", {"a.png": image(1)})
    with pytest.raises(VartkError, match=looked_for + r".* give shards on this machine"):
        build(tmp_path / pattern)
    with pytest.raises(VartkError, match=looked_for):
        build(tmp_path / "x-00.tar", validation=str(tmp_path / pattern))
    with pytest.raises(VartkError, match=r"\{3..1\} in 'x-\{3..1\}.tar' holds no number"):
        build("x-{3..1}.tar")


def test_what_tar_writes(tmp_path):
    """The command of docs/training.md, with a directory and a name too long for a plain header."""
    folder = tmp_path / "images"
    long = "k" * 150
    for name, content in {f"sub/{long}.png": image(1), f"sub/{long}.cls": b"1", "a.png": image(2)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "a.cls").write_text("0")
    (folder / "linked.png").symlink_to("a.png")
    subprocess.run(["tar", "--sort=name", "-cf", tmp_path / "1.tar", "-C", folder, "."], check=True)
    dataset = build(tmp_path / "1.tar")
    assert numbers(dataset) == [2, 1]
    assert dataset.skipped == ["1.tar: ./linked: no .jpg, .jpeg, .png or .webp, or a link to one"]


def test_samples_that_cannot_be_used_are_named(tmp_path):
    files = {
        "a.png": image(1),
        "a.cls": "0",
        "a.jpg": image(2, "JPEG"),
        "b.cls": "1",
        "c.png": image(3),
        "d.png": image(4),
        "d.json": "{'label': 1}",
        "e.png": image(5),
        "e.json": "[1]",
        "f.png": image(6),
        "f.json": '{"label": ["x"]}',
        "g.png": image(7),
        "g.cls": b"\xff",
        "h.png": image(8),
        "h.cls": "1",
    }
    dataset = build(shard(tmp_path / "1.tar", files))
    assert numbers(dataset) == [1, 8]
    assert [line.removeprefix("1.tar: ").partition(":")[0] for line in dataset.skipped] == [
        "a.jpg",
        "b",
        "d",
        "e",
        "f",
        "g",
        "c",
    ]
    assert dataset.skipped[0] == "1.tar: a.jpg: a.png came before it"
    assert dataset.skipped[3] == '1.tar: e: its .json is not an object such as {"label": "cat"}'
    assert dataset.skipped[4] == "1.tar: f: label must be text or a number, not ['x']"
    assert dataset.skipped[-1] == "1.tar: c: no label, though others have one"


def test_a_damaged_image_gives_way_to_the_next(tmp_path, caplog):
    one = shard(tmp_path / "1.tar", {"a.png": image(1), "b.jpg": damaged_jpeg()})
    two = shard(tmp_path / "2.tar", {"a.png": b"", "b.png": image(2), "c.png": image(3), "c.txt": b"\xff"})
    dataset = build([one, two])
    with caplog.at_level(logging.WARNING):
        assert numbers(dataset) == numbers(dataset) == [1, 2, 2, 2, 1]
    assert [line.split(": ")[:2] for line in dataset.skipped] == [
        ["1.tar", "b.jpg"],
        ["2.tar", "a.png"],
        ["2.tar", "c.png"],
    ]
    assert "truncated" in dataset.skipped[0]
    assert len(caplog.records) == 3
    with pytest.raises(VartkError, match=r"every image of the dataset is damaged, such as 3.tar: a.png: "):
        build(shard(tmp_path / "3.tar", {"a.png": b"text"}))[0]


@pytest.mark.parametrize(
    ("keep", "reason"),
    [
        (0, "empty file"),
        (100, "truncated header"),
        (700, "unexpected end of data"),
        (1024, r"damaged at byte 1024, after 1 sample"),
        (1024 + 300, r"damaged at byte 1024, after 1 sample"),
    ],
)
def test_a_shard_that_is_cut_off(tmp_path, keep, reason):
    path = shard(tmp_path / "1.tar", {"a.png": image(1), "b.png": image(2)})
    os.truncate(path, keep)
    with pytest.raises(VartkError, match=rf"the shard .*1.tar cannot be read: .*{reason}; shards are whole"):
        build(path)


def test_a_shard_with_a_damaged_header(tmp_path):
    path = shard(tmp_path / "1.tar", {"a.png": image(1), "b.png": image(2), "c.png": image(3)})
    content = bytearray(path.read_bytes())
    content[1024 + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(VartkError, match="damaged at byte 1024, after 1 sample"):
        build(path)


def test_compressed_shards_are_refused(tmp_path):
    path = shard(tmp_path / "1.tar", {"a.png": image(1)})
    packed = tmp_path / "2.tar.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(VartkError, match=r"2.tar.gz cannot be read: .* header; .* with gunzip"):
        build(packed)
    path.unlink()
    with pytest.raises(VartkError, match=r"no .tar file in the folder"):
        build(tmp_path)


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


def test_names_with_two_dots_are_explained(tmp_path):
    path = shard(tmp_path / "1.tar", {"img.0001.jpg": image(1, "JPEG"), "img.0002.jpg": image(2, "JPEG")})
    with pytest.raises(VartkError, match=r"no sample .*\n .*img.0001.jpg has the ending .0001.jpg; rename"):
        build(path)


def test_a_shard_that_vanishes_ends_the_run(tmp_path):
    path = shard(tmp_path / "1.tar", {"a.png": image(1)})
    dataset = build(path)
    path.unlink()
    with pytest.raises(VartkError, match=r"the shard .*1.tar cannot be read: No such file"):
        dataset[0]


def test_a_shard_that_was_written_again_is_read_again(tmp_path):
    path = shard(tmp_path / "1.tar", {"a.png": image(1)})
    assert numbers(build(path)) == [1]
    shard(path, {"b.txt": "x" * 5000, "b.png": image(2), "c.png": image(3)})
    assert numbers(build(path)) == [2, 3]


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


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A configuration file of a tiny model and two training shards, one validation shard."""
    folder = tmp_path_factory.mktemp("training")
    images = images_folder(folder / "images")
    for split in ("train", "validation"):
        files = {}
        for path in sorted((images / split).rglob("*.png"), key=lambda path: int(path.stem)):
            files |= {f"{path.stem}.png": path.read_bytes(), f"{path.stem}.cls": path.parent.name}
        halves = [dict(list(files.items())[:8]), dict(list(files.items())[8:])]
        for number, half in enumerate(halves):
            shard(folder / f"{split}-{number}.tar", half)
    config = plain(tiny_config(images, **{"train.tokenizer.save_every": 1, "train.tokenizer.steps": 2}))
    config["classes"] = []
    config["dataset"] = {
        "name": "webdataset",
        "train": str(folder / "train-{0..1}.tar"),
        "validation": [str(folder / "validation-*.tar")],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def train(config, out, *settings):
    """Train two steps, and return the tokenizer's weights and the metrics."""
    assert main(["train", "tokenizer", str(config), "--out", str(out), *settings]) == 0
    return load_tensors(out / "model" / "tokenizer.safetensors"), Run(out).metrics()


def test_training_from_shards_resumes_identically(training, tmp_path):
    weights, metrics = train(training, tmp_path / "whole")
    assert yaml.safe_load((tmp_path / "whole" / "config.yaml").read_text())["classes"] == CLASSES
    assert [line["step"] for line in metrics if "loss" in line] == [1, 2]
    run = shutil.copytree(tmp_path / "whole", tmp_path / "run")
    shutil.rmtree(run / "checkpoints" / "step-00000002")  # as if it had been killed in step 2
    shutil.rmtree(run / "model")
    again, metrics_again = train(training, run, "train.tokenizer.workers=2", "--resume")
    assert metrics_again == metrics
    assert weights.keys() == again.keys()
    assert all(torch.equal(weights[key], again[key]) for key in weights)


def test_tokens_keep_the_labels_of_shards(training, tmp_path):
    train(training, tmp_path / "run")
    tokens = tmp_path / "tokens"
    assert main(["tokenize", str(training), "--tokenizer", str(tmp_path / "run"), "--out", str(tokens)]) == 0
    assert json.loads((tokens / "tokens.json").read_text())["classes"] == CLASSES
    assert load_tensors(tokens / "train.safetensors")["labels"].flatten().tolist() == [0, 1, 2] * 3
