"""vartk eval --over: the numbers of every combination of settings."""

import json
from xml.etree import ElementTree

import pytest
import tiny

from vartk.evaluation.against.sweep import sweep_plot, sweep_table

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return tiny.images_folder(tmp_path_factory.mktemp("photos"), train=1, validation=11)


@pytest.fixture
def words(model_folder, photos, eyes):
    return ("eval", model_folder, f"feature={eyes}", "--reference", photos, "--count", 6)


def test_each_set_has_the_numbers_of_its_own_command(vartk, words, tmp_path):
    over = ("--over", "sampler.top_k=2,12", "--over", "guidance.scale=0,2")
    ran = vartk(*words, *over, "--samples", tmp_path / "s", "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    sets = json.loads(ran.out.splitlines()[-1])["sets"]
    assert [made["varied"] for made in sets] == [
        {"sampler.top_k": k, "guidance.scale": scale} for k in (2, 12) for scale in (0, 2)
    ]
    alone = vartk(*words, "sampler.top_k=12", "guidance.scale=2", "--json")
    assert json.loads(alone.out.splitlines()[-1])["numbers"] == sets[3]["numbers"]
    assert len({made["numbers"]["fd"] for made in sets}) == 4
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [
        f"sampler.top_k={k}-guidance.scale={scale}" for k in (12, 2) for scale in (0, 2)
    ]
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| sampler.top_k | guidance.scale | FD-Eyes | KID-Eyes |" in text
    assert text.count("## Protocol") == 4
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == sets
    ElementTree.parse(tmp_path / "out" / "sweep.svg")
    # a stopped sweep goes on: nothing is sampled again
    again = vartk(*words, *over, "--samples", tmp_path / "s", "--json")
    assert [made["numbers"] for made in json.loads(again.out)["sets"]] == [made["numbers"] for made in sets]
    assert "sample 1/6" not in again.err


def made(scale, k, **numbers):
    return {
        "images": "m",
        "reference": "r",
        "feature": "Inception",
        "published": {"fd": "FID", "is": "IS"},
        "varied": {"sampler.top_k": k, "guidance.scale": scale},
        "numbers": numbers,
    }


def drawn(results):
    root = ElementTree.fromstring(sweep_plot(results))
    lines = [line.get("points").split() for line in root.iter(f"{SVG}polyline")]
    return lines, [word.text for word in root.iter(f"{SVG}text")]


def test_fid_is_drawn_against_is():
    results = [
        made(scale, k, **{"fd": 5 - scale + k / 900, "is": 100 * scale})
        for k in (600, 900)
        for scale in (1, 1.5, 2)
    ]
    lines, words = drawn(results)
    assert [len(points) for points in lines] == [3, 3]  # a line for each top-k
    across = [float(point.partition(",")[0]) for point in lines[0]]
    assert across == sorted(across)
    assert {"IS", "FID", "1.5", "sampler.top_k=600", "sampler.top_k=900"} <= set(words)
    table = sweep_table(results)
    assert table.headings == ("sampler.top_k", "guidance.scale", "FID", "IS")
    assert table.rows[1] == ("600", "1.5", "4.1667", "150")


def test_other_numbers_are_drawn_against_what_is_varied():
    lines, words = drawn([made(scale, 600, kid=1 / scale, density=scale) for scale in (1, 2, 4)])
    assert [len(points) for points in lines] == [3, 3]  # a chart for each number
    assert words.count("guidance.scale") == 2
    lines, _ = drawn([made(name, 600, kid=1.0) for name in ("linear", "cosine")])  # names stand side by side
    assert len(set(lines[0])) == 2


def test_what_cannot_be_varied(refused, words, photos, tmp_path):
    message = refused(*words, "guidance.scale=1", "--over", "guidance.scale=1,2")
    assert "guidance.scale is set and varied" in message
    assert "did you mean 'scale'" in refused(*words, "--over", "guidance.scael=1,2")
    assert "--over class: an evaluation samples all classes" in refused(*words, "--over", "class=0,1")
    eyes = words[2]
    message = refused("eval", photos, eyes, "--reference", photos, "--over", "guidance.scale=1,2")
    assert "holds finished images and samples nothing; drop --over guidance.scale" in message
    assert "--over needs --reference or --protocol" in refused(
        "eval", words[1], "--over", "guidance.scale=1,2"
    )
