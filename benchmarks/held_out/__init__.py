"""Zero-shot tasks of emoji64, measured on pictures that it was not trained on."""
