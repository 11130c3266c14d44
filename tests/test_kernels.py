"""The kernels in Triton's interpreter, which needs no GPU. It must be on before Triton is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

TESTS = Path(__file__).parent


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU runs the kernels themselves")
def test_the_kernels_in_triton_s_interpreter():
    pytest.importorskip("triton")
    files = sorted(map(str, TESTS.rglob("*/test_kernels.py")))
    assert files
    command = [sys.executable, "-m", "pytest", "-q", "-m", "kernel", "-p", "no:cacheprovider", *files]
    done = subprocess.run(
        command,
        cwd=TESTS.parent,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
