"""Loggers: training runs shown in TensorBoard and Weights & Biases."""

from vartk_registry import ComponentSpec, hookimpl


@hookimpl
def vartk_components() -> list[ComponentSpec]:
    """Offer both, each with its own library."""
    return [
        ComponentSpec(
            kind="logger",
            name="tensorboard",
            target=f"{__name__}.tensorboard:TensorBoardLogger",
            summary="TensorBoard; writes to tensorboard/ in the run folder",
            requires=("tensorboard",),
            install_hint="pip install 'vartk[tensorboard]'",
        ),
        ComponentSpec(
            kind="logger",
            name="wandb",
            target=f"{__name__}.weights_and_biases:WandbLogger",
            config=f"{__name__}.config:WandbConfig",
            summary="Weights & Biases; a resumed run continues there too",
            requires=("wandb",),
            install_hint="pip install 'vartk[wandb]'",
            check_with={"mode": "disabled"},
        ),
    ]
