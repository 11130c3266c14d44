"""The `vartk` command line: `main` finds the sub-command in `commands`.

Torch is imported only by commands that compute.
"""
