"""Tiny text encoders of transformers with random weights, as folders."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch

WORDS = ["a", "red", "green", "apple", "pear", "in", "flat", "style", "and", "the", "of"]


def write(folder: Path, family: str, width: int = 16) -> Path:
    """Write an encoder that knows `WORDS`, and return its folder."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: index for index, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _network(family, width, len(vocabulary))
    tokenizer.save_pretrained(folder)
    network.save_pretrained(folder)
    return folder


def _network(family: str, width: int, words: int) -> Any:
    import transformers

    common = {"vocab_size": words, "num_attention_heads": 2, "num_hidden_layers": 1, "hidden_size": width}
    if family == "t5":
        config = transformers.T5Config(
            vocab_size=words, d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2
        )
        return transformers.T5EncoderModel(config)
    if family == "clip":
        config = transformers.CLIPTextConfig(**common, intermediate_size=32, eos_token_id=1)
        return transformers.CLIPTextModel(config)
    return transformers.BertModel(transformers.BertConfig(**common, intermediate_size=32))


@cache
def network(folder: Path) -> Any:
    """Return the encoder of a folder, and its tokenizer, as transformers has them."""
    import transformers

    family = {"t5": "T5EncoderModel", "clip_text_model": "CLIPTextModel", "bert": "BertModel"}
    kind = transformers.AutoConfig.from_pretrained(folder).model_type
    loaded = getattr(transformers, family[kind]).from_pretrained(folder).eval()
    return loaded, transformers.AutoTokenizer.from_pretrained(folder)
