"""Inference: copies of a model's modules that compute the same, faster, on the device they are on."""
