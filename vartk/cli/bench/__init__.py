"""The benchmarks of `vartk bench`, a file each: `add` makes the sub-command, `run` measures."""
