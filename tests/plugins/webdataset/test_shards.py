"""The dataset `webdataset`: which shards are read in which order, and what is wrong with some."""

import gzip
import logging
import os
import subprocess

import pytest
from shards import build, damaged_jpeg, image, numbers, shard, told

from vartk_registry import VartkError


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
