"""Zero-shot tasks: what a model that was trained to sample can also do with images."""

from .tasks import ZeroShot

__all__ = ["ZeroShot"]
