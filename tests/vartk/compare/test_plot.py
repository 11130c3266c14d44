"""The plot of a comparison, by its geometry: what a reader can tell apart."""

from itertools import combinations
from xml.etree import ElementTree

import pytest
from PIL import ImageFont

from vartk.compare.plot import pareto

SVG = "{http://www.w3.org/2000/svg}"

CROWD = {  # name: FD, seconds, MiB; eight of them nearly coincide
    "full": (570.3, 0.059, 2.69),
    "window": (583.5, 0.059, 0.5),
    "sink": (570.3, 0.058, 0.562),
    "h2o": (569.8, 0.061, 0.656),
    "ams_kv": (570.7, 0.059, 0.688),
    "scale_kv": (570, 0.059, 0.656),
    "hack": (570.4, 0.059, 0.656),
    "fp32": (570.3, 0.0591, 2.69),
    "condensed": (570.4, 0.0592, 0.65),
    "fastvar": (700.4, 0.051, 1.06),
    "tome": (640.3, 0.059, 1.44),
    "skip_last": (585.4, 0.03, 0.688),
    "ams_kv condensed=1 c_min=2 c_max=2+fastvar": (698.8, 0.052, 0.438),
    "<tail> & more": (555, 0.049, 2.69),
}


def drawn(ways):
    ways = [
        {"name": name, "fd": fd, "seconds_per_image": {"median": s}, "cache_bytes_per_image": mib * 2**20}
        for name, (fd, s, mib) in ways.items()
    ]
    real = {"n": 8, "m": 8, "fd": 1.0}
    result = {"weights": "the model's own", "feature": "Eyes", "real_images": real, "ways": ways}
    return ElementTree.fromstring(pareto(result))


def boxes(root):
    """The text and the box of everything that is written: left, top, right, bottom."""
    for text in root.iter(f"{SVG}text"):
        size = int(text.get("font-size"))
        width = ImageFont.load_default(size=size).getlength(text.text)
        left = float(text.get("x")) - width * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
        y = float(text.get("y"))
        yield text.text, (left, y - 0.8 * size, left + width, y + 0.2 * size)


def markers(root):
    """Each marker's name, its place, and its looks."""
    for path in root.iter(f"{SVG}path"):
        place = tuple(map(float, path.get("transform").removeprefix("translate(").rstrip(")").split()))
        yield path.find(f"{SVG}title").text, place, (path.get("d"), path.get("fill"))


def many(count):
    return {f"way {i}": (500 + 0.01 * i, 1 + 0.001 * i, 2.0) for i in range(count)}


@pytest.mark.parametrize("ways", [CROWD, many(34), many(1)], ids=["crowd", "many", "one"])
def test_no_two_names_overlap_and_all_are_inside(ways):
    root = drawn(ways)
    found = list(boxes(root))
    for (one, (l1, t1, r1, b1)), (two, (l2, t2, r2, b2)) in combinations(found, 2):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1, (one, two)
    width, height = float(root.get("width")), float(root.get("height"))
    for text, (left, top, right, bottom) in found:
        assert 0 <= left < right <= width, text
        assert 0 <= top < bottom <= height, text


def test_every_point_has_a_line_to_its_name_and_looks_of_its_own():
    root = drawn(CROWD)
    names, found = dict(boxes(root)), list(markers(root))
    looks = {name: look for name, _, look in found}
    assert len(set(looks.values())) == len(looks) == len(CROWD)
    lines = [
        tuple(float(line.get(key)) for key in ("x1", "y1", "x2", "y2")) for line in root.iter(f"{SVG}line")
    ]
    for chart in range(2):
        for name in CROWD:
            (_, point, look), (_, beside, again) = [each for each in found if each[0] == name][
                2 * chart : 2 * chart + 2
            ]
            assert look == again == looks[name]
            assert (*point, *beside) in lines
            right = [
                box for text, box in boxes(root) if text[:10] == name[:10] and box[1] < beside[1] < box[3]
            ]
            assert len(right) == 1
            assert beside[0] < right[0][0] < beside[0] + 15
    assert "ams_kv condensed=1 c_min=2 c_max=2+…" in names


def test_names_stay_level_with_their_points_where_there_is_room():
    ys = {}
    for name, (_, y), _ in markers(drawn({"a": (1.0, 1, 1), "b": (2.0, 1, 1), "c": (3.0, 1, 1)})):
        ys.setdefault(name, []).append(y)
    for heights in ys.values():  # of the point and of its name, in two charts
        assert (len(heights), len(set(heights))) == (4, 2)


def test_random_weights_show_time_against_bytes_instead_of_quality():
    measured = {"full": (9.0, 8000), "small": (9.0, 2000), "fast": (5.0, 8000)}  # seconds and MiB
    ways = [
        {
            "name": name,
            "transformer_seconds": s,
            "seconds_per_image": {"median": s + 1},
            "cache_bytes_per_image": mib * 2**20,
        }
        for name, (s, mib) in measured.items()
    ]
    result = {"weights": "random", "feature": None, "ways": ways}
    root = ElementTree.fromstring(pareto(result))
    places = {}
    for name, place, _ in markers(root):
        places.setdefault(name, place)  # the first is the point, the second stands beside its name
    (full, small, fast) = (places[name] for name in measured)
    assert small[0] < full[0] == fast[0]
    assert small[1] == full[1] < fast[1]  # y counts from the top
    written = [text for text, _ in boxes(root)]
    assert "transformer, seconds per image: less is better" in written
    assert written.count("KV cache per image, MiB") == 1
    assert "9,200" in written  # the end of the axis, 1.15 times the most
    for way in ways:  # a CPU's own time, where it is known
        way["processor_seconds"] = {"transformer": {"full": 7, "small": 8, "fast": 9}[way["name"]]}
    root = ElementTree.fromstring(pareto(result))
    places = {name: place for name, place, _ in reversed(list(markers(root)))}
    assert places["fast"][1] < places["small"][1] < places["full"][1]
    assert "transformer, processor's seconds per image: less is better" in dict(boxes(root))
