"""The noise schedulers of diffusers, by name."""

from __future__ import annotations

import inspect
from typing import Any

from vartk_registry import VartkError, suggestion

NAMES = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "dpm": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
}
"""Short names of classes of diffusers."""


def build_scheduler(name: str, noise_steps: int) -> Any:
    """Return a scheduler of diffusers for a linear noise schedule and a model that predicts the noise.

    Raises:
        VartkError: there is no such scheduler, or it is for other models.
    """
    import diffusers

    found = getattr(diffusers, NAMES.get(name, name), None)
    if found is None or not name.isidentifier() or not hasattr(found, "set_timesteps"):
        raise VartkError(f"generator 'dit': no scheduler {name!r}{suggestion(name, [*NAMES])}")
    settings = {
        "num_train_timesteps": noise_steps,
        "beta_schedule": "linear",
        "prediction_type": "epsilon",
        "clip_sample": False,  # latents are not in [-1, 1]
    }
    known = inspect.signature(found.__init__).parameters
    if "prediction_type" not in known:
        raise VartkError(f"generator 'dit': scheduler {name!r} is for models that do not predict the noise")
    return found(**{key: value for key, value in settings.items() if key in known})
