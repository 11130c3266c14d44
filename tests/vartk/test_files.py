import pytest
import tiny
import torch

from vartk.files import (
    load_tensors,
    refuse_existing,
    remove_partial,
    save_tensors,
    whole_file,
    whole_folder,
)
from vartk_registry import VartkError


class Killed(Exception):
    pass


def killed_while_writing(guard):
    """Write a file called "new", or one in the folder, and fail before the end."""
    with guard as aside:
        (aside / "new" if aside.is_dir() else aside).write_text("new")
        raise Killed


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_whole_or_the_old_one(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with whole_file(path) as aside:
        aside.write_text("one")
    assert path.read_text() == "one"
    with pytest.raises(Killed):
        killed_while_writing(whole_file(path))
    assert path.read_text() == "one"
    assert names(path.parent) == ["a.txt"]


def test_a_folder_is_whole_or_absent(tmp_path):
    path = tmp_path / "deep" / "made"
    with pytest.raises(Killed):
        killed_while_writing(whole_folder(path))
    assert names(path.parent) == []
    with whole_folder(path) as aside:
        (aside / "b").mkdir()
        (aside / "b" / "c").write_text("one")
        assert not path.exists()
    assert (path / "b" / "c").read_text() == "one"
    assert names(path.parent) == ["made"]


def test_what_a_kill_left_aside_is_no_part_of_the_next_folder(tmp_path):
    (tmp_path / ".made.partial" / "sub").mkdir(parents=True)
    (tmp_path / ".made.partial" / "old").write_text("old")
    with whole_folder(tmp_path / "made") as aside:
        (aside / "new").write_text("new")
    assert names(tmp_path / "made") == ["new"]
    assert names(tmp_path) == ["made"]


def test_a_replaced_folder_never_mixes(tmp_path):
    path = tmp_path / "made"
    for content in ("a", "b"):
        with whole_folder(path, replace=True) as aside:
            (aside / content).write_text(content)
    assert names(path) == ["b"]
    with pytest.raises(Killed):
        killed_while_writing(whole_folder(path, replace=True))
    assert names(path) == ["b"]
    assert names(tmp_path) == ["made"]


def test_a_kill_between_the_renames_of_a_replacement_loses_nothing(tmp_path):
    path = tmp_path / "made"
    (tmp_path / ".made.old").mkdir()
    (tmp_path / ".made.old" / "a").write_text("a")
    with pytest.raises(Killed):
        killed_while_writing(whole_folder(path, replace=True))
    assert names(path) == ["a"]
    with whole_folder(path, replace=True) as aside:
        (aside / "b").write_text("b")
    assert names(path) == ["b"]
    assert names(tmp_path) == ["made"]


def test_existing_things_are_refused_and_left_alone(tmp_path):
    full, file, empty = tmp_path / "full", tmp_path / "file", tmp_path / "empty"
    full.mkdir()
    (full / "a").write_text("a")
    file.write_text("b")
    empty.mkdir()
    for path in (full, file):
        with pytest.raises(VartkError, match="exists and is not overwritten"):
            refuse_existing(path)
        with pytest.raises(VartkError, match="exists and is not overwritten"), whole_folder(path):
            pass
    refuse_existing(empty)
    assert names(tmp_path) == ["empty", "file", "full"]
    with whole_folder(empty) as aside:
        (aside / "a").write_text("a")
    assert names(empty) == ["a"]


def test_partial_things_are_removed_at_any_depth(tmp_path):
    for name in ("a/.x.partial", "a/b/.y.partial"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "content").write_text("x")
    (tmp_path / "a" / ".z.json.partial").write_text("x")
    (tmp_path / "a" / "kept.partial").write_text("x")
    remove_partial(tmp_path)
    assert names(tmp_path / "a") == ["b", "kept.partial"]
    assert names(tmp_path / "a" / "b") == []


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("x")
    for guard in (whole_file, whole_folder):
        with (
            pytest.raises(VartkError, match=r"file/b/a could not be written: Not a directory"),
            guard(tmp_path / "file" / "b" / "a"),
        ):
            pass


def test_a_full_disk_is_a_clear_error(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors({"x": torch.zeros(3)}, path)
    with tiny.full_disk(100_000):
        with pytest.raises(VartkError, match=r"a\.safetensors could not be written: .*too large"):
            save_tensors({"x": torch.ones(2**20)}, path)
        with pytest.raises(VartkError, match=r"a\.txt could not be written: File too large"):  # noqa: SIM117
            with whole_file(tmp_path / "a.txt") as aside:
                aside.write_text("x" * 200_000)
        with pytest.raises(VartkError, match=r"made could not be written: File too large"):  # noqa: SIM117
            with whole_folder(tmp_path / "made") as aside:
                (aside / "a.txt").write_text("x" * 200_000)
    assert names(tmp_path) == ["a.safetensors"]
    assert torch.equal(load_tensors(path)["x"], torch.zeros(3))


def test_tensors_can_be_read_by_whom_other_files_can(tmp_path):
    (tmp_path / "plain").touch()
    save_tensors({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_tensors_come_back_as_they_were(tmp_path):
    tensors = {"a": torch.arange(6).view(2, 3).T, "b": torch.rand(4).bfloat16(), "c": torch.empty(0, 3)}
    save_tensors(tensors, tmp_path / "x")
    loaded = load_tensors(tmp_path / "x")
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
    assert loaded["b"].dtype == torch.bfloat16


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 100, None])
def test_files_of_another_kind(tmp_path, content):
    path = tmp_path / "x.safetensors"
    if content is None:
        save_tensors({"x": torch.rand(100)}, path)
        content = path.read_bytes()[:-7]
    path.write_bytes(content)
    with pytest.raises(VartkError, match=r"x\.safetensors is truncated or not a safetensors file"):
        load_tensors(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(VartkError, match="x is missing"):
        load_tensors(tmp_path / "x")


LONG = "a" * 400


def refused_places(tmp_path):
    """Return places where nothing can be written, each with what the operating system says of it."""
    (tmp_path / "file").write_text("mine")
    for name, target in (("loop", "loop"), ("gone", "nowhere")):
        (tmp_path / name).symlink_to(target)
    return {
        LONG: "File name too long",
        "a" * 250: "File name too long",  # no room for what the partial file adds
        f"new/{LONG}": "File name too long",
        "file/x": "Not a directory",
        "loop": "exists and is not overwritten",
        "loop/x": "Too many levels of symbolic links",
        "gone/x": "No such file or directory",
    }


def test_places_where_nothing_can_be_written_are_refused_before_the_work(tmp_path):
    for place, reason in refused_places(tmp_path).items():
        before = names(tmp_path)
        with pytest.raises(VartkError, match=reason) as raised:
            refuse_existing(tmp_path / place)
        assert len(str(raised.value)) < 300
        assert names(tmp_path) == before


def test_a_link_to_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "made").symlink_to("disk")
    with whole_folder(tmp_path / "made") as aside:
        (aside / "file").write_text("new")
    assert names(tmp_path / "disk") == ["file"]
    assert names(tmp_path) == ["disk", "made"]
