"""What the commands of the zero-shot tasks have in common."""
