"""Sharing a model: its card, and the way to the Hugging Face hub and back."""
