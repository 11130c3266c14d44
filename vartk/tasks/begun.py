"""Work that goes on where it was stopped: its settings are kept beside it, and other settings are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vartk_registry import VartkError

from ..config import leaves


def require_same(begun: Mapping[str, Any], made_by: Mapping[str, Any], where: Path, work: str) -> None:
    """Raise `VartkError` if work in a folder was begun with other settings.

    Args:
        begun, made_by: everything that decides the result, then and now, as JSON holds it.
        where: the folder, and `work`: what it holds, such as "a comparison".
    """
    before, now = dict(leaves(begun)), dict(leaves(made_by))
    differ = [key for key in before | now if before.get(key) != now.get(key)]
    if differ:
        changes = "; ".join(
            f"{key} was {before.get(key, 'not set')} and is {now.get(key, 'not set')}" for key in differ[:5]
        )
        raise VartkError(
            f"{where} holds {work} begun with other settings ({changes}); go on with those, or give "
            "another folder"
        )
