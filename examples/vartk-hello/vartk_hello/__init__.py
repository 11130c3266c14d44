"""A plugin for vartk: the schedule `fibonacci` and the sampler `typical`."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer both components."""
    return [
        ComponentSpec(
            kind="schedule",
            name="fibonacci",
            target="vartk_hello.fibonacci:fibonacci",
            summary="sides 1, 2, 3, 5, 8, ... up to the latent's",
        ),
        ComponentSpec(
            kind="sampler",
            name="typical",
            target="vartk_hello.typical:Typical",
            config="vartk_hello.config:TypicalConfig",
            summary="draws from the codes whose surprise is nearest to the expected one",
        ),
    ]
