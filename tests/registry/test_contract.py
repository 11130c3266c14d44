"""What plugins depend on changes by decision alone."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CONTRACT = runpy.run_path(str(HERE / "contract.py"))


def test_the_public_names_on_record_are_there_and_unchanged():
    """New names do not break a plugin; the next record takes them in."""
    recorded = CONTRACT["RECORD"].read_text().splitlines()
    gone = sorted(set(recorded) - set(CONTRACT["lines"]()))
    assert not gone, (
        "plugins may depend on these, which are gone or changed:\n"
        + "\n".join(gone)
        + "\nIf the plugins that exist still work, run `python tests/registry/contract.py` and commit the "
        "record. If they do not, raise API in vartk_registry/spec.py too, and say in CHANGELOG.md what to do."
    )


def test_the_record_holds_names_signatures_fields_and_members():
    lines = CONTRACT["lines"]()
    assert "vartk_registry.PluginReport.blocked: bool" in lines
    assert "vartk_registry.counted(number: 'int', noun: 'str') -> 'str'" in lines
    assert any(line.startswith("vartk_registry.interfaces.Sampler.__call__(self, logits") for line in lines)
    assert (
        "vartk_registry.interfaces.Schedule.of(cls, sides: 'Iterable[int | Iterable[int]]') -> 'Schedule'"
        in lines
    )
    assert any(line.startswith("vartk_registry.images.read_rgb(") for line in lines)
    assert not any("._" in line.split("(")[0].split("__call__")[0] for line in lines)


def test_another_process_finds_the_same_names():
    code = f"import runpy; print(*runpy.run_path({str(HERE / 'contract.py')!r})['lines'](), sep='\\n')"
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "registry")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == CONTRACT["lines"]()
