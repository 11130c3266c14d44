"""The sub-commands of `vartk`, a module each: `configure` adds the arguments, `run` does the work."""
