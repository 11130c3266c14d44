"""Checkpoints as trainings save them: nested, with the names of wrapping modules, with an EMA."""

import argparse

import golden
import originals
import pytest
import torch
from originals import read
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.optim.swa_utils import AveragedModel

import vartk
from vartk.cli.main import main
from vartk_registry import VartkError

OURS = golden.NAMES[0]


@pytest.fixture
def wrapped(tmp_path):
    """Write an object as a file, and return its path."""

    def write(content):
        path = tmp_path / "checkpoint.pth"
        torch.save(content, path)
        return path

    return write


def var():
    return originals.state(OURS, "var")


def head_of(imported):
    return imported.transformer["transformer.head.bias"]


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def prefixed(prefix, state):
    return {prefix + key: tensor for key, tensor in state.items()}


def averaged(state):
    """Another state of the same names and shapes."""
    return {key: tensor * 2 if tensor.is_floating_point() else tensor for key, tensor in state.items()}


def test_one_training_checkpoint_holds_both(files, tmp_path):
    """`ar-ckpt-last.pth`, with the other things that the original's trainer saves."""
    trainer = {
        "config": {"depth": 3, "patch_nums": (1, 2, 3, 4, 5, 6)},
        "var_wo_ddp": originals.state(OURS, "var"),
        "vae_local": originals.state(OURS, "vae"),
        "var_opt": {"optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4}]}},
    }
    path = tmp_path / "ar-ckpt-last.pth"
    torch.save({"args": {"bs": 768, "tag": None}, "epoch": 3, "iter": 0, "trainer": trainer}, path)
    nested, bare = read(path, path), read(*files[OURS])
    assert nested.config == bare.config
    assert_same(nested.tokenizer, bare.tokenizer)
    assert_same(nested.transformer, bare.transformer)
    assert nested.notes == tuple(
        f"ar-ckpt-last.pth: the weights under 'trainer.{name}' are read"
        for name in ("vae_local", "var_wo_ddp")
    )


def test_the_command_line_that_a_training_saved_is_passed_over(wrapped, files):
    path = wrapped({"model": var(), "args": argparse.Namespace(lr=1e-4, tag=None), "epoch": 3})
    assert_same(read(files[OURS][0], path).transformer, read(*files[OURS]).transformer)


WRAPPINGS = {
    "DDP": lambda state: prefixed("module.", state),
    "torch.compile": lambda state: prefixed("_orig_mod.", state),
    "FSDP": lambda state: prefixed("_fsdp_wrapped_module.", state),
    "several": lambda state: prefixed("module._orig_mod.", state),
    "blocks compiled": lambda state: {
        key.replace("blocks.1.", "blocks.1._orig_mod."): tensor for key, tensor in state.items()
    },
    "blocks in FSDP": lambda state: prefixed(
        "_fsdp_wrapped_module.",
        {key.replace(".attn.", "._fsdp_wrapped_module.attn."): tensor for key, tensor in state.items()},
    ),
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
    "Lightning": lambda state: {"state_dict": prefixed("model.", state), "loops": {}},
    "DeepSpeed": lambda state: {"module": state, "lr_scheduler": None, "global_steps": 9},
    "nested and wrapped": lambda state: {"model": {"net": prefixed("_orig_mod.module.", state)}},
    "an EMA alone": lambda state: {"model_ema": prefixed("module.", state), "decay": 0.99},
    "torch's EMA": lambda state: {"n_averaged": torch.tensor(7), **prefixed("module.", state)},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_weights_are_found_below_any_names(wrapping, wrapped, files):
    vae, expected = files[OURS][0], read(*files[OURS])
    imported = read(vae, wrapped(WRAPPINGS[wrapping](var())))
    assert imported.config == expected.config
    assert_same(imported.transformer, expected.transformer)
    [note] = imported.notes
    assert note.startswith("checkpoint.pth: ")


def test_the_tokenizer_too(wrapped, files):
    state = originals.state(OURS, "vae")
    divided = {key.replace("quantize.", "quantize._orig_mod."): tensor for key, tensor in state.items()}
    imported = read(wrapped({"state_dict": prefixed("module.", divided)}), files[OURS][1])
    assert_same(imported.tokenizer, read(*files[OURS]).tokenizer)
    assert imported.notes == (
        "checkpoint.pth: the weights under 'state_dict.module' are read; names are read without '_orig_mod'",
    )


def test_the_names_are_those_that_torch_gives(tmp_path):
    """Modules of a VAR's names in torch's own wrappers."""
    from vartk_plugins.original_var.state import read_state

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ffn = nn.Sequential()
            self.ffn.add_module("fc1", nn.Linear(2, 2))

    class Var(nn.Module):
        def __init__(self):
            super().__init__()
            self.pos_start = nn.Parameter(torch.ones(1, 1, 2))
            self.blocks = nn.ModuleList([Block(), Block()])

    names = list(Var().state_dict())
    model = Var()
    model.blocks[0] = torch.compile(model.blocks[0])
    model.blocks[1].ffn = checkpoint_wrapper(model.blocks[1].ffn)
    for wrapped in (model, torch.compile(model), AveragedModel(torch.compile(model))):
        torch.save(wrapped.state_dict(), tmp_path / "var.pth")
        assert list(read_state(tmp_path / "var.pth", "VAR transformer", ema=False).tensors) == names


BOTH = {
    "nested": lambda plain, ema: {"model": plain, "model_ema": prefixed("module.", ema)},
    "bare and nested": lambda plain, ema: {**plain, "ema": ema},
    "one mapping": lambda plain, ema: {
        "state_dict": {**prefixed("net.", plain), **prefixed("net.ema.", ema)}
    },
    "the original's trainer": lambda plain, ema: {"trainer": {"var_wo_ddp": plain, "var_ema": ema}},
}


@pytest.mark.parametrize("layout", BOTH)
def test_plain_weights_or_those_of_the_ema(layout, wrapped, files):
    vae, bias = files[OURS][0], var()["head.bias"]
    path = wrapped(BOTH[layout](var(), averaged(var())))
    plain, ema = read(vae, path), read(vae, path, ema=True)
    assert torch.equal(head_of(plain), bias)
    assert torch.equal(head_of(ema), 2 * bias)
    assert "EMA weights are there too, under '" in plain.notes[0]
    assert plain.notes[0].endswith("ema=true takes them")
    assert "plain weights are there too, " in ema.notes[0]
    assert ema.notes[0].endswith("leave ema=true out to take them")


def test_an_ema_that_is_not_there(files):
    with pytest.raises(
        VartkError, match=r"ema=true, but there are no EMA weights in .*vae\.pth and .*var\.pth"
    ):
        read(*files[OURS], ema=True)
    with pytest.raises(VartkError, match=r"no EMA weights in .*vae\.pth; leave ema out"):
        read(files[OURS][0], ema=True)


def test_several_models_in_one_file(wrapped, files):
    path = wrapped({"student": var(), "teacher": var()})
    with pytest.raises(
        VartkError,
        match="several VAR transformers, under 'student', under 'teacher'; save the state dict of one",
    ):
        read(files[OURS][0], path)


def test_one_mapping_holds_both_stages(wrapped, files):
    path = wrapped({"state_dict": {**var(), **prefixed("vae.", originals.state(OURS, "vae"))}})
    assert_same(read(path, path).transformer, read(*files[OURS]).transformer)


def test_the_command_says_what_it_took(files, wrapped, tmp_path, capsys):
    path = wrapped({"model": var(), "ema": averaged(var())})
    out = tmp_path / "model"
    words = ["convert", "--tokenizer", files[OURS][0], "--transformer", path, "--out", out, "ema=true"]
    assert main(list(map(str, words))) == 0
    printed = capsys.readouterr()
    note = "checkpoint.pth: the weights under 'ema' are read; plain weights are there too, under 'model'"
    assert note in printed.err
    assert "checkpoint.pth" not in printed.out
    assert note in (out / "README.md").read_text()
    bias = vartk.load(out).predictor.state_dict()["transformer.head.bias"]
    assert torch.equal(bias, 2 * var()["head.bias"])
