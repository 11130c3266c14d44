"""Memory that torch frees on a CPU is used again."""

import ctypes
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from vartk.cli.main import main

if sys.argv[1] == "command":
    main(["list", "schedule", "--json"])

def work():
    for _ in range(5):
        torch.ones(20_000_000).mul(2)  # 80 MB each

for _ in range(4):  # the heap grows until it has room for every order of the tensors
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="it is glibc's allocator that is told",
)
def test_a_command_reuses_pages_where_torch_alone_has_new_ones_cleared():
    def page_faults(mode):
        ran = subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True)
        return int(ran.stdout.split()[-1])

    assert page_faults("command") < 100
    assert page_faults("default") > 1000  # or there is nothing to gain any more
