from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """Where the numbers are written."""

    file: str = param("my-name.csv", "name of the file in the run folder: step, name, value")
