"""The kept listing of a folder: used while nothing changes, and never when something has."""

import json
import os
import threading

import pytest
from PIL import Image

from vartk_plugins.folder.kept import listing_of
from vartk_registry import VartkError, discover

REGISTRY = discover(["vartk_plugins.folder"]).registry


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder where listings are kept."""
    monkeypatch.setenv("VARTK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "listings"


@pytest.fixture
def photos(tmp_path, cache):
    """A folder of images that has not changed for long."""
    for name in ("cat/1.png", "cat/2.png", "dog/deep/3.png"):
        save(tmp_path / "photos" / name)
    (tmp_path / "disk").mkdir()
    save(tmp_path / "disk" / "4.png")
    (tmp_path / "photos" / "fox").symlink_to("../disk")
    settle(tmp_path)
    return tmp_path / "photos"


def save(path, colour=(0, 0, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path)


def settle(root):
    """Set the times of folders and tables an hour back, as if they had been there for long."""
    for where, _, files in os.walk(root):
        for path in (where, *(os.path.join(where, file) for file in files if file.startswith("meta"))):
            os.utime(path, ns=(0, os.stat(path).st_mtime_ns - 3600 * 10**9))


def names(photos):
    return [item.name for item in listing_of(photos).items]


def marked(cache):
    """Change what is kept, so that its use shows."""
    (file,) = cache.glob("*.json")
    file.write_text(file.read_text().replace("cat/1.png", "kept.png"))


def test_it_is_used_while_nothing_changes(photos, cache):
    made = listing_of(photos)
    assert listing_of(photos) == made
    assert [path.suffix for path in cache.iterdir()] == [".json"]
    marked(cache)
    assert names(photos)[0] == "kept.png"
    save(photos / "cat" / "1.png", (255, 0, 0))  # the content of an image is not part of it
    assert names(photos)[0] == "kept.png"
    assert names(photos.parent / "disk") == ["4.png"]


def relink(photos):
    (photos.parent / "other").mkdir()
    (photos / "fox").unlink()
    (photos / "fox").symlink_to("../other")


CHANGES = {
    "added": lambda photos: save(photos / "dog" / "deep" / "9.png"),
    "added to a linked folder": lambda photos: save(photos.parent / "disk" / "9.png"),
    "removed": lambda photos: (photos / "cat" / "2.png").unlink(),
    "renamed": lambda photos: (photos / "cat" / "2.png").rename(photos / "cat" / "5.png"),
    "moved": lambda photos: (photos / "cat" / "2.png").rename(photos / "dog" / "2.png"),
    "a new folder": lambda photos: save(photos / "owl" / "1.png"),
    "a folder renamed": lambda photos: (photos / "dog").rename(photos / "wolf"),
    "another link": relink,
    "metadata": lambda photos: (photos / "metadata.csv").write_text("file_name\ncat/2.png\n"),
    "splits": lambda photos: [save(photos / name / "1.png") for name in ("train", "val")],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_makes_a_new_one(photos, cache, monkeypatch, change):
    before = names(photos)
    marked(cache)
    change(photos)
    found = names(photos)
    assert found != before
    assert "kept.png" not in found
    monkeypatch.setenv("VARTK_CACHE", str(cache / "none"))
    assert names(photos) == found


def test_metadata_changed_in_place_and_files_that_it_names(photos, cache):
    table = photos / "metadata.csv"
    table.write_text("file_name,label\ncat/2.png,a\ndog/deep/3.png,b\n")
    settle(photos)
    assert names(photos) == ["cat/2.png", "dog/deep/3.png"]
    assert list(cache.iterdir())
    times = table.stat()
    with table.open("r+") as stream:
        stream.write("file_name,label\ncat/1.png,a\n")
    os.utime(table, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert names(photos) == ["cat/1.png", "dog/deep/3.png"]
    settle(photos)
    names(photos)
    (photos / "dog" / "deep" / "3.png").unlink()
    with pytest.raises(VartkError, match=r"line 3: file not found: dog/deep/3.png"):
        names(photos)


def test_a_link_to_nothing_that_comes_back(photos):
    disk = photos.parent / "disk"
    disk.rename(photos.parent / "unplugged")
    settle(photos)
    assert listing_of(photos).strays == ["fox: a link to nothing"]
    (photos.parent / "unplugged").rename(disk)
    assert names(photos)[-1] == "fox/4.png"


def test_a_folder_that_has_just_changed_is_not_kept(photos, cache):
    save(photos / "cat" / "9.png")
    assert "cat/9.png" in names(photos)
    assert not cache.exists()


@pytest.mark.parametrize("content", ["", "{", "\0" * 100, "[]", '{"format": 0}', '{"format": 1, "items": 3}'])
def test_a_torn_file_is_made_again(photos, cache, content):
    found = names(photos)
    (file,) = cache.iterdir()
    whole = file.read_text()
    for torn in (content, whole[: len(whole) // 2]):
        file.write_text(torn)
        assert names(photos) == found
        assert json.loads(file.read_text()) == json.loads(whole)


def test_a_place_that_cannot_be_written_only_costs_time(photos, cache, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert names(photos) == names(photos)


def test_several_at_once(photos, cache):
    found = names(photos)
    made = []

    def look():
        for _ in range(20):
            for path in cache.glob("*.json"):
                path.unlink(missing_ok=True)
            made.append(names(photos))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [found] * 80
    assert not list(cache.glob(".*"))


def test_classes_captions_and_odd_names_survive(photos):
    odd = os.fsdecode(b"cat/\xff.png")
    save(photos / odd)
    settle(photos)
    builds = [
        REGISTRY.build("dataset", "folder", {"path": str(photos), "validation": 0.0}, split="train")
        for _ in range(2)
    ]
    for dataset in builds:
        assert dataset.classes == ["cat", "dog", "fox"]
        assert odd in [dataset.name(i) for i in range(len(dataset))]
        assert len([dataset[i] for i in range(len(dataset))]) == 5
