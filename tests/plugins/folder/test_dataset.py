import io
import json
import logging

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from vartk_plugins.folder.items import Item
from vartk_registry import ParamErrors, UnknownName, VartkError, discover

REGISTRY = discover(["vartk_plugins.folder"]).registry
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def build(path, split="train", **params):
    return REGISTRY.build("dataset", "folder", {"path": str(path), **params}, split=split)


def everything(path):
    return build(path, validation=0.0)


def save(path, colour=RED, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def colours(dataset):
    return [dataset[index].image.getpixel((2, 2)) for index in range(len(dataset))]


def damaged_jpeg():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    return stream.getvalue()[: stream.tell() // 2]


def test_class_sub_folders(tmp_path):
    save(tmp_path / "dog" / "deep" / "1.png", GREEN)
    save(tmp_path / "a cat" / "fat cat.png", RED)
    save(tmp_path / "žába 蛙" / "ž.bmp", BLUE)
    (tmp_path / "empty").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "1.png").write_text("hidden")
    (tmp_path / "notes.txt").write_text("not mine")
    dataset = everything(tmp_path)
    assert dataset.classes == ["a cat", "dog", "žába 蛙"]
    assert colours(dataset) == [RED, GREEN, BLUE]
    assert [dataset[index].label for index in range(3)] == [0, 1, 2]
    assert dataset.skipped == ["notes.txt: lies beside the class sub-folders"]


def test_flat_folder_has_one_class(tmp_path):
    save(tmp_path / "b.webp", BLUE)
    save(tmp_path / "a.png", GREEN)
    dataset = everything(tmp_path)
    assert (dataset.classes, dataset.skipped) == (["image"], [])
    assert [(e.label, e.caption) for e in (dataset[0], dataset[1])] == [(0, ""), (0, "")]
    assert colours(dataset)[0] == GREEN
    assert len(list(dataset)) == 2
    assert dataset[-1].image.tobytes() == dataset[1].image.tobytes()


def test_jsonl_metadata_orders_labels_and_captions(tmp_path):
    save(tmp_path / "images" / "2.png", BLUE)
    save(tmp_path / "images" / "1.png", RED)
    save(tmp_path / "not listed.png")
    rows = [
        {"file_name": "images/2.png", "label": "sky", "caption": "das Blau\u2028des Himmels"},
        {"file_name": "images/1.png", "label": "rose", "keywords": ["red"], "caption": None},
    ]
    text = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "metadata.jsonl").write_text(text, encoding="utf-8")
    dataset = everything(tmp_path)
    assert dataset.classes == ["rose", "sky"]
    assert [dataset[index].label for index in range(2)] == [1, 0]
    assert [dataset[index].caption for index in range(2)] == ["das Blau\u2028des Himmels", ""]
    assert colours(dataset) == [BLUE, RED]


def test_an_image_may_have_several_captions(tmp_path):
    for name in ("1.png", "2.png"):
        save(tmp_path / name)
    rows = [
        {"file_name": "1.png", "captions": ["a rose", " ", "red "]},
        {"file_name": "2.png", "caption": "a pear"},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for _ in range(2):  # the second time from the kept listing
        first, second = everything(tmp_path)
        assert (first.caption, first.others) == ("a rose", ("red",))
        assert (second.caption, second.others) == ("a pear", ())
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": "1.png", "captions": [3]}))
    with pytest.raises(VartkError, match=r"line 1: captions must be a list of texts, not \[3\]"):
        everything(tmp_path)


def test_csv_metadata_from_a_spreadsheet(tmp_path):
    save(tmp_path / "1.png", RED)
    save(tmp_path / "2.png", BLUE)
    text = 'text,file_name,class,split\r\n"red, or\nso",1.png,10,train\r\nblue,2.png,9,val\r\n'
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8-sig", newline="")
    train, validation = build(tmp_path), build(tmp_path, "validation")
    assert train.classes == validation.classes == ["10", "9"]
    assert [(e.label, e.caption) for e in train] == [(0, "red, or\nso")]
    assert [(e.label, e.caption) for e in validation] == [(1, "blue")]


@pytest.mark.parametrize("name", ["validation", "val"])
def test_split_folders_are_used_as_they_are(tmp_path, name):
    save(tmp_path / "train" / "cat" / "1.png", RED)
    save(tmp_path / "train" / "dog" / "1.png", GREEN)
    save(tmp_path / name / "dog" / "2.png", BLUE)
    train, validation = build(tmp_path, validation=0.9), build(tmp_path, "validation")
    assert train.classes == validation.classes == ["cat", "dog"]
    assert (colours(train), colours(validation)) == ([RED, GREEN], [BLUE])
    assert validation[0].label == 1


def test_train_alone_is_a_class(tmp_path):
    save(tmp_path / "train" / "1.png")
    save(tmp_path / "tram" / "1.png")
    assert everything(tmp_path).classes == ["train", "tram"]


def test_held_out_share_is_stable(tmp_path):
    names = [f"cat/{number}.png" for number in range(2000)]
    held_out = {name for name in names if Item(name).split_of(0.1) == "validation"}
    assert 160 < len(held_out) < 240
    assert held_out < {name for name in names if Item(name).split_of(0.2) == "validation"}
    # fixed for good: `printf cat/8.png | sha256sum` begins 04de, a position of 0x04de / 0x10000
    assert Item("cat/8.png").split_of(0.0190) == "train"
    assert Item("cat/8.png").split_of(0.0191) == "validation"
    assert Item("e\u0301.png").split_of(0.5) == Item("\u00e9.png").split_of(0.5)

    for number in range(8):
        save(tmp_path / f"{number}.png", (number, 0, 0))
    splits = [set(colours(build(tmp_path, split, validation=0.5))) for split in ("train", "validation")]
    assert not splits[0] & splits[1]
    assert len(splits[0] | splits[1]) == 8
    assert len(build(tmp_path, "validation", validation=0.0)) == 0


def test_files_that_are_no_images_are_named(tmp_path):
    save(tmp_path / "good.png")
    (tmp_path / "good.png").rename(tmp_path / "good.0001")
    (tmp_path / "text.png").write_text("this is text")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "read me.txt").write_text("hello")
    dataset = everything(tmp_path)
    reason = "not an image, or of a format that Pillow cannot read"
    assert dataset.skipped == [f"read me.txt: {reason}"]
    assert colours(dataset) == [RED] * 3
    # what has the name of an image is opened when it is read
    assert dataset.skipped[1:] == [f"{name}: {reason}" for name in ("empty.jpg", "text.png")]


def test_truncated_jpeg_gives_way_to_the_next_image(tmp_path, caplog):
    save(tmp_path / "a.png", GREEN)
    (tmp_path / "b.jpg").write_bytes(damaged_jpeg())
    save(tmp_path / "c.png", BLUE)
    (tmp_path / "d.jpg").write_bytes(damaged_jpeg())
    dataset = everything(tmp_path)
    assert (len(dataset), dataset.skipped) == (4, [])
    with caplog.at_level(logging.WARNING):
        assert colours(dataset) == colours(dataset) == [GREEN, BLUE, BLUE, GREEN]
    assert [line.partition(": ")[0] for line in dataset.skipped] == ["b.jpg", "d.jpg"]
    assert "truncated" in dataset.skipped[0]
    assert [record.getMessage() for record in caplog.records] == [
        f"skipped {line}" for line in dataset.skipped
    ]


def test_truncated_images_alone_are_an_error(tmp_path):
    (tmp_path / "a.jpg").write_bytes(damaged_jpeg())
    with pytest.raises(VartkError, match=r"every image of .* is damaged"):
        everything(tmp_path)[0]


def test_a_path_is_needed(tmp_path):
    with pytest.raises(VartkError, match="needs path"):
        REGISTRY.build("dataset", "folder", {}, split="train")
    with pytest.raises(VartkError, match=r"'.*nowhere' does not exist; expected one of"):
        build(tmp_path / "nowhere")
    save(tmp_path / "1.png")
    with pytest.raises(VartkError, match="is a file, not a folder"):
        build(tmp_path / "1.png")


def test_nothing_to_read(tmp_path):
    with pytest.raises(VartkError, match=r"has no images; expected one of"):
        build(tmp_path)
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(VartkError, match=r"1 file .* none a readable image:\n  a.txt: not an image"):
        everything(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "a.png")
    with pytest.raises(VartkError, match=r"every image of the dataset is damaged, such as a.png: not an"):
        everything(tmp_path)[0]


def test_split_and_share_are_checked(tmp_path):
    save(tmp_path / "1.png")
    with pytest.raises(UnknownName, match="Valid: train, validation"):
        build(tmp_path, "test")
    with pytest.raises(ParamErrors, match=r"validation=1.5 is out of range"):
        build(tmp_path, validation=1.5)
    with pytest.raises(VartkError, match=r"none of the 1 image .* falls into the validation split"):
        build(tmp_path, "validation", validation=0.001)


def test_contradicting_layouts_are_refused(tmp_path):
    save(tmp_path / "train" / "cat" / "1.png")
    save(tmp_path / "val" / "1.png")
    with pytest.raises(VartkError, match="one has classes and the other none"):
        build(tmp_path)
    (tmp_path / "metadata.csv").write_text("file_name\ntrain/cat/1.png\n")
    with pytest.raises(VartkError, match=r"metadata.csv beside train/ and val/"):
        build(tmp_path)
    (tmp_path / "validation").mkdir()
    with pytest.raises(VartkError, match="remove one of them"):
        build(tmp_path)
    (tmp_path / "train" / "metadata.jsonl").write_text("")
    (tmp_path / "train" / "metadata.csv").write_text("")
    with pytest.raises(VartkError, match=r"metadata.jsonl and metadata.csv; remove one"):
        build(tmp_path / "train")


def test_mistakes_in_jsonl_are_named_by_line(tmp_path):
    save(tmp_path / "1.png")
    lines = [
        '{"file_name": "1.png", "label": "a"}',
        '{"file": "1.png"}',
        '{"file_name": "2.png"}',
        "{'file_name': '1.png'}",
        "[1]",
        '{"file_name": "1.png"}',
        '{"file_name": "1.png", "split": "test"}',
        '{"file_name": "1.png", "label": ["a"]}',
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    with pytest.raises(VartkError) as error:
        build(tmp_path)
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        "line 2: no file_name, only 'file'",
        "line 3: file not found: 2.png",
        "line 4: not JSON: Expecting property name enclosed in double quotes at column 2",
        'line 5: not a JSON object such as {"file_name": "1.jpg", "label": "cat"}',
        "line 7: split 'test' is neither 'train' nor 'validation'",
        "line 8: label must be text or a number, not ['a']",
        "line 6: no label, though others have one",
    ]


def test_mistakes_in_csv_are_named_by_line(tmp_path):
    table = tmp_path / "metadata.csv"
    table.write_text("name,label\n1.png,a\n")
    with pytest.raises(VartkError, match="line 1 has no column file_name: name, label"):
        build(tmp_path)
    table.write_text("file_name\n" + "".join(f"{n}.png\n" for n in range(12)))
    with pytest.raises(VartkError, match=r"12 problems\n  line 2: file not found: 0.png[^$]*and 2 more"):
        build(tmp_path)
    table.write_bytes("file_name\nž.png\n".encode("cp1250"))
    with pytest.raises(VartkError, match=r"metadata.csv is not a table in UTF-8"):
        build(tmp_path)


def test_works_in_a_worker(tmp_path):
    for number in range(4):
        save(tmp_path / f"{number}.png", (number, 0, 0))
    loader = DataLoader(
        everything(tmp_path),
        num_workers=1,
        multiprocessing_context="fork",
        collate_fn=lambda examples: examples[0].image.getpixel((0, 0))[0],
    )
    assert list(loader) == [0, 1, 2, 3]


def test_a_loop_of_links_shows_no_image_twice(tmp_path, caplog):
    for number in range(8):
        save(tmp_path / "red" / f"{number}.png", (number, 0, 0))
    (tmp_path / "red" / "loop").symlink_to("../red")
    (tmp_path / "blue").symlink_to("red")
    splits = [colours(build(tmp_path, split, validation=0.5)) for split in ("train", "validation")]
    assert sorted(splits[0] + splits[1]) == [(number, 0, 0) for number in range(8)]
    (record,) = caplog.records
    assert "2 symbolic links to what is there by another name" in record.getMessage()
    assert record.getMessage().endswith("without blue, red/loop")


def test_a_link_brings_no_validation_image_into_training(tmp_path):
    save(tmp_path / "train" / "cat" / "1.png", RED)
    save(tmp_path / "validation" / "cat" / "2.png", BLUE)
    (tmp_path / "train" / "cat" / "2.png").symlink_to("../../validation/cat/2.png")
    assert colours(build(tmp_path)) == [RED]
    assert colours(build(tmp_path, "validation")) == [BLUE]
