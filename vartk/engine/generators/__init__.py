"""Generators as models: whole systems beside next-scale models, sampled by the same commands."""
