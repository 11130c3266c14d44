"""From patterns to shards, through symbolic links."""

import pytest
from shards import build, image, numbers, shard

from vartk_plugins.webdataset.patterns import find_shards


@pytest.fixture
def shards(tmp_path):
    """Two shards in folders that links make a maze of."""
    folder = tmp_path / "shards"
    shard(folder / "a" / "1.tar", {"1.png": image(1)})
    shard(folder / "b" / "deep" / "2.tar", {"2.png": image(2)})
    for number in range(3):
        (folder / "a" / f"loop{number}").symlink_to("..")
    (folder / "0").symlink_to("a")
    (folder / "a" / "0.tar").symlink_to("1.tar")
    return folder


@pytest.mark.parametrize("pattern", ["**/*.tar", "**/?.tar", "*/**/[12].tar"])
def test_a_loop_of_links_gives_each_shard_once(shards, pattern, caplog):
    assert numbers(build(shards / pattern)) == [1, 2]
    assert "loop0, " in caplog.text


@pytest.mark.parametrize("pattern", ["*/*.tar", "a", "a/*.tar"])
def test_a_shard_that_is_there_by_its_own_name_keeps_it(shards, pattern, caplog):
    assert find_shards([str(shards / pattern)]) == [shards / "a" / "1.tar"]
    assert "to what is there by another name" in caplog.text


def test_linked_folders_are_searched(shards, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "linked").symlink_to(shards / "b")
    assert find_shards([str(tmp_path / "mine" / "**" / "*.tar")]) == [
        tmp_path / "mine" / "linked" / "deep" / "2.tar"
    ]
