"""The `vartk` command: one module a sub-command; torch is imported only by those that compute."""
