import subprocess
import sys

import pytest

import vartk_registry
from vartk_registry import (
    MissingRequirement,
    ParamErrors,
    PluginError,
    UnknownName,
    Unsupported,
    VartkError,
    counted,
    shown,
    suggestion,
)


def test_a_suggestion_holds_the_nearest_name_and_all_of_them():
    assert suggestion("fastvr", ["window", "fastvar"]) == ("; did you mean 'fastvar'? Valid: fastvar, window")


def test_a_name_like_no_other_gets_the_list_alone():
    assert suggestion("zzz", ["b", "a"]) == ". Valid: a, b"


def test_a_long_text_keeps_its_ends_and_another_long_value_its_type():
    assert shown("/data/photos/of/a/long/journey/" * 3) == repr("/data/photos/of/a/long/journey/" * 3)
    text = shown("start" + "x" * 1000 + "end")
    assert text.startswith("'start")
    assert text.endswith("end'")
    assert len(text) < 160
    assert shown([0] * 1000) == "a list"


def test_an_empty_list_is_said_to_be_empty():
    assert suggestion("x", []) == ". There are none."


def test_case_does_not_hide_the_nearest_name():
    assert "did you mean 'vq'?" in suggestion("VQ", ["vq", "fsq"])
    assert "did you mean 'EMA'?" in suggestion("ema", ["EMA", "SGD"])


def test_unknown_name_says_what_is_unknown():
    error = UnknownName("cache", "ful", ["full"])
    assert str(error) == "unknown cache 'ful'; did you mean 'full'? Valid: full"


@pytest.mark.parametrize("error", [UnknownName, PluginError, MissingRequirement, Unsupported, ParamErrors])
def test_every_error_is_one_that_the_command_line_shows_without_a_traceback(error):
    assert issubclass(error, VartkError)


def test_counted_uses_the_right_number():
    assert [counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


def test_everything_announced_is_there():
    assert sorted(vartk_registry.__all__, key=str.lower) == sorted(set(vartk_registry.__all__), key=str.lower)
    assert all(hasattr(vartk_registry, name) for name in vartk_registry.__all__)


def test_importing_the_contract_imports_neither_torch_nor_omegaconf():
    code = (
        "import sys, vartk_registry, vartk_registry.interfaces; vartk_registry.discover();"
        "print([m for m in ('torch', 'numpy', 'omegaconf') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": vartk_registry.__path__[0] + "/.."},
    )
    assert done.stdout.strip() == "[]"
