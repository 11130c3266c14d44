from dataclasses import dataclass

from vartk_registry import param


@dataclass(kw_only=True, slots=True)
class MyParams:
    """How the other project names its weights."""

    prefix: str = param("model.", "what stands before the name of each weight")
