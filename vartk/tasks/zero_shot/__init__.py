"""Zero-shot tasks on picture files: each reads pictures, calls a method of the model, and writes a folder."""
