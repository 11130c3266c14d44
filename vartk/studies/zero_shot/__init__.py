"""The zero-shot tasks, measured on pictures that a model was not trained on.

- `pictures`: held-out pictures, and what is measured of others beside them
- `painting`, `editing`, `upscaling`: the tasks with numbers, by the ways of doing them
- `gallery`: the tasks without numbers, as pictures
- `measuring`: all of them, each kept when it is done
"""

from .measuring import TASKS, measure

__all__ = ["TASKS", "measure"]
