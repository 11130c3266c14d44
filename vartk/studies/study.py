"""What a study is: systems, and what is measured of each. A YAML file holds one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from vartk_registry import UnknownName, VartkError

from ..config import Layer, parse_overrides, read_yaml

CONFIGS = Path(__file__).parent / "configs"
FORMS = ("quick", "large")
"""The keys whose keys take the place of others: `--quick` for minutes, `--large` for a GPU."""

MEASURES: Mapping[str, str] = {
    "reconstruction": "quality of a tokenizer's reconstructions, and the use of its codes by scale",
    "validation": "validation loss and token error, parameters, compute and time of the training",
    "distances": "FD and KID of samples",
    "scaling": "power laws of all systems",
    "data": "quality against the share of the training images and the epochs",
    "zero-shot": "in- and out-painting, editing and super-resolution of held-out pictures",
    "speed": "images per second and time to the first image, with random weights",
}
TRAINED = ("validation", "distances", "scaling", "data", "zero-shot")
"""The measures that look at a trained model."""
RUNS = ("reconstruction", "validation", "scaling", "data")
"""Those that look at its training, too."""
VARY = "vary"
"""The key of a system that stands for several: lists of values by the key of a setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A model that a study looks at.

    Attributes:
        name: in tables and file names.
        config: the preset or YAML file that it begins from; empty for the study's.
        settings: `key=value` settings of its configuration.
        group: systems of one group are timed in turns, and compared with the first of them; the measure
            `data` has a chart for each group.
        weights: the system whose training it shares, with other sampling settings; empty for its own.
        model: a trained model, as `vartk.load` takes it, in the place of a training; its dataset is that of
            `config`, and its settings may be those of sampling alone.
        batches: batch sizes of the measure `speed`; empty for the study's.
    """

    name: str
    config: str = ""
    settings: Sequence[str] = ()
    group: str = ""
    weights: str = ""
    model: str = ""
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
        samples: of the measure `distances`; held-out pictures of the measure `zero-shot`.
        fitted: training pictures that the classifier of `zero-shot` is fitted to, at most.
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
    fitted: int = 10_000
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


def read_study(name: str, overrides: Sequence[str] = (), form: str = "") -> Study:
    """Read a built-in study or a YAML file.

    Args:
        overrides: `key=value` settings of every system.
        form: one of `FORMS`, whose values take the place of others; empty for the study as it is.

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
    forms = {key: values.pop(key, {}) for key in FORMS}
    if form and not forms[form]:
        raise VartkError(f"{path} has no key {form!r}, which says what changes; leave --{form} out")
    values |= forms.get(form, {})
    parse_overrides(overrides)
    try:
        systems = [system for entry in values.pop("systems") for system in _systems(path, entry)]
        settings = [*values.pop("settings", []), *overrides]
        study = Study(name=path.stem, settings=settings, systems=systems, **_known(path, Study, values))
    except (KeyError, TypeError) as error:
        raise VartkError(f"{path} is no study: {error}; docs/studies.md shows one") from error
    _check(path, study)
    return study


def _systems(path: Path, entry: Mapping[str, Any]) -> Iterator[System]:
    """Yield the systems of an entry: one, or one for each combination of the values that it varies."""
    entry = dict(entry)
    varied = entry.pop(VARY, {})
    if not isinstance(varied, Mapping) or not all(isinstance(v, list) and v for v in varied.values()):
        raise VartkError(
            f"{path}: {VARY} of {entry.get('name')} is {varied!r}; give lists of values, such as "
            "vary: {transformer.depth: [4, 8]}"
        )
    system = System(**_known(path, System, entry))
    for values in product(*varied.values()):
        chosen = dict(zip(varied, values, strict=True))
        name = ", ".join([system.name, *(f"{key.rpartition('.')[2]}={v}" for key, v in chosen.items())])
        yield replace(
            system, name=name, settings=[*system.settings, *(f"{k}={v}" for k, v in chosen.items())]
        )


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
        if not system.weights:
            continue
        if system.weights not in names:
            raise UnknownName(f"system, the weights of {system.name},", system.weights, names)
        if study.systems[names.index(system.weights)].model or system.model:
            raise VartkError(
                f"{path}: {system.name} has the weights of {system.weights}, and one of them is a finished "
                "model; name this model in both, with `model`, and leave `weights` out"
            )
    for measure in study.measures:
        if measure not in MEASURES:
            raise UnknownName("measure", measure, MEASURES)
    needing = [measure for measure in study.measures if measure in RUNS]
    finished = [system.name for system in study.systems if system.model]
    if needing and finished:
        raise VartkError(
            f"{path}: {', '.join(needing)} needs trainings, and {', '.join(finished)} has a finished model; "
            "leave the measure or the model out"
        )
    if "data" in study.measures and not {"validation", "distances"} <= set(study.measures):
        raise VartkError(f"{path}: the measure data shows validation and distances; list both, too")
