"""What a model of prompts is measured with."""
