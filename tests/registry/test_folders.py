"""Listing files through symbolic links, each file once."""

import os

from vartk_registry.folders import list_files, state_of


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_names_are_sorted_and_hidden_ones_are_left_out(tmp_path):
    make(tmp_path, "b/2", "b/1", "a", ".hidden", ".cache/1", "b/c/3")
    os.mkfifo(tmp_path / "pipe")
    assert list_files(tmp_path).names == ["a", "b/1", "b/2", "b/c/3"]


def test_a_loop_gives_each_file_once(tmp_path):
    make(tmp_path, "photos/red/1", "photos/blue/1", "elsewhere/private")
    red = tmp_path / "photos" / "red"
    (red / "loop").symlink_to("../red")
    (red / "twin").symlink_to("../red")
    (red / "up").symlink_to("..")
    (red / "above").symlink_to("../..")  # its other folders are no part of red
    found = list_files(tmp_path / "photos")
    assert found.names == ["blue/1", "red/1"]
    assert found.repeats == ["red/above", "red/loop", "red/twin", "red/up"]


def test_linked_folders_and_files_are_listed_once(tmp_path):
    make(tmp_path, "disk/cats/1", "disk/cats/2", "disk/3", "photos/own/4")
    photos = tmp_path / "photos"
    (photos / "cats").symlink_to("../disk/cats")
    (photos / "also").symlink_to("../disk/cats")
    (photos / "best").mkdir()
    (photos / "best" / "1").symlink_to("../cats/1")
    (photos / "best" / "3").symlink_to("../../disk/3")
    (photos / "best" / "4").symlink_to("../own/4")
    (photos / "best" / "again").symlink_to("3")
    found = list_files(photos)
    assert found.names == ["also/1", "also/2", "best/3", "own/4"]
    assert found.repeats == ["cats", "best/1", "best/4", "best/again"]


def test_what_is_there_by_its_own_name_keeps_it(tmp_path):
    make(tmp_path, "train/cat/1", "validation/cat/2", "validation/cat/.thumbnail")
    (tmp_path / "train" / "all").symlink_to("../validation")
    (tmp_path / "train" / "hidden").symlink_to("../validation/cat/.thumbnail")
    found = list_files(tmp_path, ["train", "validation"])
    assert found.names == ["train/cat/1", "train/hidden", "validation/cat/2"]
    assert found.repeats == ["train/all"]


def test_links_to_nothing_are_named(tmp_path):
    make(tmp_path, "1")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    found = list_files(tmp_path)
    assert (found.names, found.broken) == (["1"], ["gone", "self"])
    assert found.states["gone"] is None


def test_states_change_with_what_is_listed(tmp_path):
    make(tmp_path, "photos/red/1", "disk/1")
    photos = tmp_path / "photos"
    (photos / "blue").symlink_to("../disk")
    states = list_files(photos).states
    assert states.keys() == {"", "red", "blue"}
    assert states == {name: state_of(photos / name) for name in states}
    make(tmp_path, "disk/2")
    assert [name for name in states if state_of(photos / name) != states[name]] == ["blue"]
