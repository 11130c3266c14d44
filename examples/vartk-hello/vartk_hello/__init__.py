"""A plugin for vartk: the schedule `fibonacci`, the sampler `typical` and the cache `strided`."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer the components."""
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
            summary="draws from the codes whose surprise is nearest to the expected surprise",
        ),
        ComponentSpec(
            kind="cache",
            name="strided",
            target="vartk_hello.strided:Strided",
            config="vartk_hello.config:StridedConfig",
            summary="keeps every n-th key and value of finished scales",
        ),
    ]
