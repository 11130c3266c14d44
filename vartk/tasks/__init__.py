"""What users do with a model: each task consumes the generation loop or the tokenizer."""
