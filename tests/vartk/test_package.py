"""What `import vartk` offers."""

import pydoc
import subprocess
import sys

import vartk

PUBLIC = ["Model", "Samples", "VartkError", "__version__", "load", "save"]


def test_completion_offers_the_public_names_and_no_others():
    code = "import sys, vartk; print(dir(vartk), 'torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{PUBLIC} False\n"
    assert dir(vartk) == PUBLIC  # also once all are imported, and submodules with them
    assert all(getattr(vartk, name).__doc__ for name in PUBLIC)


def test_help_describes_the_public_names():
    text = pydoc.plain(pydoc.render_doc(vartk))
    for line in ("class Model(", "class Samples(", "load(name: 'str | Path'", "save"):
        assert line in text
    assert "TYPE_CHECKING" not in text
