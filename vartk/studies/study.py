"""What a study is: systems, and what is measured of each. A YAML file holds one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vartk_registry import UnknownName, VartkError

from ..config import Layer, parse_overrides, read_yaml

CONFIGS = Path(__file__).parent / "configs"
QUICK = "quick"
"""The key whose keys take the place of others with `--quick`."""


MEASURES: Mapping[str, str] = {
    "reconstruction": "quality of a tokenizer's reconstructions, and the use of its codes by scale",
    "validation": "validation loss and token error, parameters, compute and time of the training",
    "distances": "FD and KID of samples",
    "scaling": "power laws of all systems",
    "speed": "images per second and time to the first image, with random weights",
}
TRAINED = ("validation", "distances", "scaling")
"""The measures that look at the training of a transformer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A model that a study looks at.

    Attributes:
        name: in tables and file names.
        config: the preset or YAML file that it begins from; empty for the study's.
        settings: `key=value` settings of its configuration.
        group: systems of one group are timed in turns, and compared with the first of them.
        weights: the system whose training it shares, with other sampling settings; empty for its own.
        batches: batch sizes of the measure `speed`; empty for the study's.
    """

    name: str
    config: str = ""
    settings: Sequence[str] = ()
    group: str = ""
    weights: str = ""
    batches: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Systems, and what is measured of each.

    Attributes:
        title, claim: what the study is about, and the claim that it measures.
        config: the preset or YAML file that systems begin from.
        settings: `key=value` settings of every system; its own ones win.
        tokenizer: a model whose tokenizer all systems use; empty to train what they need.
        systems: at least one.
        measures: names of measures (`MEASURES`).
        batches, repeats: of the measure `speed`.
        samples: of the measure `distances`.
        irreducible: of the measure `scaling`, as for `vartk scaling fit`: "fit" or a number.
    """

    name: str
    title: str
    claim: str = ""
    config: str
    settings: Sequence[str] = ()
    tokenizer: str = ""
    systems: Sequence[System]
    measures: Sequence[str]
    batches: Sequence[int] = (1,)
    repeats: int = 3
    samples: int = 1000
    irreducible: Any = "fit"

    def layer(self, system: System) -> Layer:
        """Return the settings of a system, with those of the study under them."""
        return parse_overrides(self.words(system), f"study {self.name}, system {system.name}")

    def words(self, system: System) -> list[str]:
        """Return the settings of a system as they are typed on a command line."""
        return [*self.settings, *system.settings]

    def plain(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return asdict(self)


def built_in() -> dict[str, str]:
    """Return the titles of the built-in studies by name."""
    return {path.stem: str(read_yaml(path)["title"]) for path in sorted(CONFIGS.glob("*.yaml"))}


def read_study(name: str, overrides: Sequence[str] = (), *, quick: bool = False) -> Study:
    """Read a built-in study or a YAML file.

    Args:
        overrides: `key=value` settings of every system.
        quick: take the values under the key `quick` in the place of the others.

    Raises:
        VartkError: there is no such study, or it is not valid.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = built_in()
        if name not in known:
            raise UnknownName("study", name, known)
        path = CONFIGS / f"{name}.yaml"
    values = dict(read_yaml(path))
    shorter = values.pop(QUICK, {})
    if quick and not shorter:
        raise VartkError(f"{path} has no key {QUICK!r}, which says what is shorter; leave --quick out")
    values |= shorter if quick else {}
    parse_overrides(overrides)
    try:
        systems = [_system(path, entry) for entry in values.pop("systems")]
        settings = [*values.pop("settings", []), *overrides]
        study = Study(name=path.stem, settings=settings, systems=systems, **_known(path, Study, values))
    except (KeyError, TypeError) as error:
        raise VartkError(f"{path} is no study: {error}; docs/studies.md shows one") from error
    _check(path, study)
    return study


def _system(path: Path, entry: Mapping[str, Any]) -> System:
    return System(**_known(path, System, entry))


def _known(path: Path, kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = [each.name for each in fields(kind)]
    for key in values:
        if key not in names:
            raise UnknownName(f"key of a {kind.__name__.lower()} in {path.name}", str(key), names)
    return {str(key): value for key, value in values.items()}


def _check(path: Path, study: Study) -> None:
    names = [system.name for system in study.systems]
    if not names:
        raise VartkError(f"{path} has no systems; list at least one, with its name")
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise VartkError(f"{path}: several systems are called {', '.join(doubled)}; rename one of them")
    for system in study.systems:
        if system.weights and system.weights not in names:
            raise UnknownName(f"system, the weights of {system.name},", system.weights, names)
    for measure in study.measures:
        if measure not in MEASURES:
            raise UnknownName("measure", measure, MEASURES)
