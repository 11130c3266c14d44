"""Prompts as conditions: the features of transformers' own encoders, null conditions, prompts cut short."""

import logging

import encoders
import pytest
import torch

from vartk_registry import MissingRequirement, VartkError, discover
from vartk_registry.testing import check_conditioner

pytest.importorskip("transformers")
REGISTRY = discover(["vartk_plugins.text_conditioner"]).registry
SHORT, LONG = "a red apple", "a green pear and the red apple"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {
        family: encoders.write(tmp_path_factory.mktemp(family), family) for family in ("t5", "clip", "minilm")
    }


def build(width=16, **params):
    torch.manual_seed(0)
    return REGISTRY.build("conditioner", "text", params, width=width, classes=())


def own(folders, family, **params):
    return build(encoder=family, model=str(folders[family]), **params)


@pytest.mark.parametrize("family", ["t5", "clip", "minilm"])
def test_tokens_are_the_encoders_and_their_mean_is_the_vector(folders, family):
    conditioner = own(folders, family, length=12)
    network, tokenizer = encoders.network(folders[family])
    condition = conditioner(conditioner.parse([SHORT, LONG]))
    assert condition.lengths.tolist() == [4, 8]
    for row, text in enumerate((SHORT, LONG)):
        alone = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            expected = network(
                input_ids=alone["input_ids"], attention_mask=alone["attention_mask"]
            ).last_hidden_state[0]
        found = condition.tokens[row, : len(expected)]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(condition.vector[row], expected.mean(0), atol=1e-5, rtol=0)


def test_the_null_condition_is_as_long_as_what_it_stands_against(folders):
    conditioner = own(folders, "t5", length=12)
    batch = conditioner.parse([SHORT, LONG])
    null = conditioner(conditioner.drop(batch, torch.tensor([True, True])))
    assert null.lengths.tolist() == [4, 8]
    for row, length in enumerate(null.lengths):
        assert torch.equal(null.tokens[row, :length], conditioner.null_tokens[:length])
    mixed = conditioner(conditioner.drop(batch, torch.tensor([True, False])))
    assert torch.equal(mixed.tokens[0], null.tokens[0])
    assert torch.equal(mixed.tokens[1], conditioner(batch).tokens[1])


def test_an_empty_prompt_and_none_are_the_null_condition(folders):
    conditioner = own(folders, "t5")
    assert torch.equal(conditioner.parse(["", "  ", None]), conditioner.null(3))
    condition = conditioner(conditioner.parse([""]))
    assert torch.equal(condition.tokens[0, :1], conditioner.null_tokens[:1])  # the mark of the end


def test_a_long_prompt_is_cut_and_a_warning_says_so(folders, caplog):
    conditioner = own(folders, "t5", length=5)
    with caplog.at_level(logging.WARNING):
        batch = conditioner.parse([SHORT, LONG])
    assert [record.getMessage() for record in caplog.records] == [
        f"a prompt has 8 tokens, and the encoder reads 5: the end of {LONG!r} is cut"
    ]
    assert batch[1].tolist() == [*conditioner.parse(["a green pear and"])[0]]  # the mark of the end stays


def test_other_widths_are_brought_to_the_transformers_by_a_layer_that_learns(folders):
    conditioner = own(folders, "t5", width=24)
    condition = conditioner(conditioner.parse([SHORT, ""]))
    assert condition.tokens.shape == (2, 8, 24)
    condition.vector.sum().backward()
    assert conditioner.proj.weight.grad.any()
    assert conditioner.null_tokens.grad.any()
    assert not any("encoder" in name for name in conditioner.state_dict())


def test_without_tokens_there_is_the_vector_alone(folders):
    conditioner = own(folders, "t5", tokens=False)
    batch = conditioner.parse([SHORT])
    condition = conditioner(batch)
    assert condition.tokens is None
    assert torch.equal(condition.vector, own(folders, "t5")(batch).vector)


def test_a_prompt_is_encoded_once(folders, monkeypatch):
    conditioner = own(folders, "t5")
    asked = []
    features = type(conditioner.encoder).features
    monkeypatch.setattr(
        type(conditioner.encoder),
        "features",
        lambda self, texts, device: asked.extend(texts) or features(self, texts, device),
    )
    first = conditioner(conditioner.parse([SHORT, SHORT, LONG]))
    again = conditioner(conditioner.parse([LONG, SHORT]))
    assert len(asked) == 2
    assert torch.equal(first.tokens[[2, 0]], again.tokens)


def test_a_learned_vector_starts_from_given_ones(folders):
    conditioner = own(folders, "t5", width=24, vector="learned")
    texts = ["a red apple", "a green apple", "the pear", "green pear", "a red pear"]
    wanted, null = torch.randn(5, 24, generator=torch.Generator().manual_seed(0)), torch.arange(24.0)
    told = conditioner.imitate(texts, wanted, null)
    found = conditioner(conditioner.parse(texts)).vector
    # five vectors on 16 features: the fit explains nearly all of them
    explained = 1 - (found - wanted).square().sum() / (wanted - wanted.mean(0)).square().sum()
    assert explained > 0.95
    assert f"the vectors of 5 texts fitted to it, which explains {explained:.1%} of" in told
    batch = conditioner.parse(["", *texts[:1]])
    dropped = conditioner(conditioner.drop(batch, torch.tensor([False, True])))
    assert torch.equal(dropped.vector, null.expand(2, -1))
    assert "conditioner.vector=learned can be" in own(folders, "t5").imitate(texts, wanted, null)


@pytest.mark.parametrize("family", ["t5", "clip"])
def test_it_keeps_the_contract(folders, family):
    check_conditioner(own(folders, family, length=12), [SHORT, LONG, ""])


def test_known_encoders_can_be_planned_with_where_their_files_are_not():
    assert build(width=2048, encoder="t5").null_tokens.shape == (512, 2048)
    assert not build(width=2048, encoder="t5").state_dict().keys() - {"null_tokens"}
    assert build(width=384).proj.__class__ is torch.nn.Identity


def test_what_cannot_be_read_says_what_to_do(tmp_path, folders):
    with pytest.raises(VartkError, match=r"hf download .*conditioner.model=FOLDER"):
        build(encoder="t5", model=str(tmp_path))
    with pytest.raises(VartkError, match=r"prompt 3 is no text"):
        own(folders, "t5").parse([3])


def test_minilm_of_the_package_reads_prompts():
    try:
        conditioner = build(width=384)
        condition = conditioner(conditioner.parse(["a red apple", "a crimson apple", "a steam engine"]))
    except MissingRequirement as error:
        pytest.skip(str(error))
    near, far = torch.cosine_similarity(condition.vector[:1], condition.vector[1:])
    assert near > far + 0.2
