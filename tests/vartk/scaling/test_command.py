"""`vartk scaling`, on runs of known laws and on a run folder."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from tiny import tiny_composed

from vartk.bench.flops.count import count_flops
from vartk.engine.training import Run
from vartk.scaling import ScalingRun, Validation, read_runs, write_report
from vartk.scaling.fitting import envelope
from vartk_registry import VartkError

TRUE = {"loss": (12.0, -0.22, 2.0), "loss_last": (14.0, -0.24, 2.5)}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Write runs whose final losses follow the laws `TRUE`, and whose errors are straight lines."""
    random, runs = np.random.default_rng(0), []
    for size in np.geomspace(1e5, 3e7, 9):
        validations = []
        for share in np.linspace(0.1, 1, 10):
            rest = share**-0.3 * np.exp(0.003 * random.standard_normal())
            losses = {name: float(a * size**b * rest + c) for name, (a, b, c) in TRUE.items()}
            errors = {name: float(0.9 * size**-0.01 * rest**0.1) for name in ("error", "error_last")}
            validations.append({"compute": float(6e7 * size * share), **losses, **errors})
        runs.append({"name": f"{size:.2g}", "parameters": int(size), "validations": validations})
    path = tmp_path_factory.mktemp("runs") / "runs.json"
    path.write_text(json.dumps(runs))
    return path


@pytest.fixture(scope="module")
def laws(file, tmp_path_factory):
    return tmp_path_factory.mktemp("laws") / "scaling"


@pytest.fixture(scope="module")
def fitted(file, laws):
    return write_report(read_runs([file]), None, laws, "vartk scaling fit runs.json --out scaling")


def law_of(result, metric, axis="parameters"):
    return next(law for law in result["laws"] if (law["metric"], law["axis"]) == (metric, axis))


@pytest.mark.parametrize("metric", TRUE)
def test_the_laws_of_the_runs_are_found(fitted, metric):
    law, (_, exponent, irreducible) = law_of(fitted, metric), TRUE[metric]
    assert law["exponent_interval"][0] <= exponent <= law["exponent_interval"][1]
    assert law["irreducible_interval"][0] <= irreducible <= law["irreducible_interval"][1]
    assert law["pearson"] < -0.999
    assert law["points"] == 9


def test_the_page_and_the_plots(fitted, laws):
    page = (laws / "scaling.md").read_text()
    assert fitted["command"] in page
    assert "| last-scale loss | 9 | -0.2" in page
    drawing = ElementTree.fromstring((laws / "scaling.svg").read_text())
    circles = [part for part in drawing if part.tag.endswith("circle")]
    assert len(circles) >= 4 * 9


def test_a_prediction_and_its_interval(vartk, fitted, laws):
    ran = vartk("scaling", "predict", laws, "--params", "1e9", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out.splitlines()[-1])["predicted"]["loss"]
    scale, exponent, irreducible = TRUE["loss"]
    low, high = found["interval"]
    assert low <= scale * 1e9**exponent + irreducible <= high
    assert low < found["value"] < high
    assert any("a factor of 33.3 outside the 9 points" in doubt for doubt in found["doubts"])
    shown = vartk("scaling", "predict", laws, "--compute", "1e15")
    assert "at 1e+15 compute" in shown.out


def test_the_papers_law_has_no_irreducible_term(vartk, file, tmp_path):
    ran = vartk("scaling", "fit", file, "--irreducible", "0", "--out", tmp_path / "laws", "--json")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    assert law_of(result, "loss")["irreducible"] == 0
    assert result["command"] == f"vartk scaling fit {file} --irreducible 0.0 --out {tmp_path / 'laws'}"


def test_the_envelope_is_what_no_run_reaches_with_less_compute(file):
    points = envelope(read_runs([file]), "loss")
    everything = [(v.compute, v.loss) for run in read_runs([file]) for v in run.validations]
    for compute, loss in points:
        assert loss == min(value for at, value in everything if at <= compute)


def test_a_run_folder_is_read(tmp_path):
    composed = tiny_composed()
    run = Run(tmp_path / "run")
    run.start(composed)
    run.log(3, {"loss": 3.0})
    for step, loss in ((2, 2.5), (4, 2.0)):
        values = {"val_loss": loss, "val_loss_2": loss / 2, "val_accuracy": 0.25, "val_accuracy_2": 0.5}
        run.log(step, values)
    (read,) = read_runs([tmp_path / "run"])
    counted = count_flops(composed.config)
    forward = next(part["total"] for part in counted["parts"] if part["part"] == "forward")
    assert read.parameters == counted["parameters"]["transformer"]
    assert [v.compute for v in read.validations] == [3 * forward * 4 * 2, 3 * forward * 4 * 4]
    last = read.validations[-1]
    assert (last.loss, last.loss_last, last.error, last.error_last) == (2.0, 1.0, 0.75, 0.5)


def test_runs_of_generators_have_a_loss_alone(tmp_path):
    composed = tiny_composed(generator={"name": "dit", "depth": 2, "heads": 2, "head_dim": 16, "patch": 1})
    run = Run(tmp_path / "run")
    run.start(composed)
    run.log(2, {"val_loss": 0.5})
    (read,) = read_runs([tmp_path / "run"])
    step = read.validations[-1]
    assert (step.loss, step.loss_last, step.error) == (0.5, None, None)
    w, tokens, channels, blocks = 32, 16, 8, 2
    sequence = tokens * (blocks * 12 * w * w + 2 * channels * w)  # of patches of one cell
    attention = blocks * 2 * tokens * tokens * w
    modulation = blocks * (6 * w * w + 256 * w + w * w) + 256 * w + w * w + 2 * w * w
    batch = composed.config.train.generator.batch
    assert step.compute == 3 * batch * 2 * 2 * (sequence + attention + modulation)
    losses = [(size, 2 * size**-0.1) for size in (1e4, 1e5, 1e6, 1e7)]
    runs = [ScalingRun(f"{size:g}", int(size), (Validation(size, loss),)) for size, loss in losses]
    made = write_report(runs, 0.0, tmp_path / "laws", "vartk scaling fit runs.json")
    assert {law["metric"] for law in made["laws"]} == {"loss"}
    assert law_of(made, "loss")["exponent"] == pytest.approx(-0.1)
    other = ScalingRun("var", 100, (Validation(1.0, 2.0, 2.0, 0.5, 0.5),))
    with pytest.raises(VartkError, match="fit the runs of each by themselves"):
        write_report([*runs, other], 0.0, tmp_path / "mixed", "")


def test_what_is_no_run(tmp_path):
    with pytest.raises(VartkError, match="is no run folder of `vartk train`"):
        read_runs([tmp_path])
    (tmp_path / "runs.json").write_text('[{"name": "a"}]')
    with pytest.raises(VartkError, match="holds no runs: KeyError"):
        read_runs([tmp_path / "runs.json"])
    Run(tmp_path / "run").start(tiny_composed())
    with pytest.raises(VartkError, match="has no validation of a transformer"):
        read_runs([tmp_path / "run"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("predict", "nowhere", "--params", "1e9"), "holds no scaling laws"),
        (("predict", "nowhere", "--params", "-1"), "'-1' is not a positive number"),
        (("fit", "nowhere", "--irreducible", "x", "--out", "o"), "'x' is no irreducible term"),
    ],
)
def test_mistakes_are_told(vartk, words, message):
    ran = vartk("scaling", *words)
    assert ran.code == 2
    assert message in ran.err
