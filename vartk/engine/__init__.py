"""The engine: builds models, trains, generates and keeps them in files."""
