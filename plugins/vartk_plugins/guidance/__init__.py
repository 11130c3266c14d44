"""Classifier-free guidance whose strength depends on the scale."""

from vartk_registry import ComponentSpec, hookimpl

_HERE = "vartk_plugins.guidance"


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Return the guidances."""
    return [
        ComponentSpec(
            kind="guidance",
            name=name,
            target=f"{_HERE}.weights:{attribute}",
            config=f"{_HERE}.config:{attribute}",
            summary=summary,
        )
        for name, attribute, summary in (
            ("linear", "Linear", "grows from 0 to the full scale, as in the original VAR"),
            ("constant", "Constant", "the same strength at every scale"),
            (
                "interval",
                "Interval",
                "full strength between two points of the schedule, no guidance elsewhere",
            ),
            ("per_scale", "PerScale", "a strength for each scale, as in a list"),
        )
    ]
