"""The entry point: help, unknown words, plugins' commands, Ctrl-C and closed pipes."""

import json
import os
import signal
import subprocess
import sys

import pytest

import vartk as package
from vartk.cli.main import COMMANDS

COMMAND = [sys.executable, "-m", "vartk.cli.main"]

HEAVY = {"torch", "timm", "torchvision", "omegaconf", "yaml", "numpy", "PIL", "huggingface_hub"}


def imported(*words):
    """The modules that a command line imports, in a process of its own."""
    code = (
        "import json, sys\n"
        "from vartk.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=True
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["list", "--json"], ["plugins"], ["sample", "--help"]]
)
def test_quick_commands_import_nothing_heavy(words):
    assert not imported(*words) & HEAVY


def test_sampling_imports_no_more_than_it_needs(model_folder, tmp_path):
    modules = imported("sample", model_folder, "--out", tmp_path / "out")
    assert "torch" in modules
    unneeded = {
        "timm",
        "torchvision",
        "huggingface_hub",
        "torch.distributed.checkpoint",
        "torch._dynamo",
        "vartk.engine.training",
    }
    assert not modules & unneeded


def test_help_names_every_command(vartk):
    for words in ([], ["--help"]):
        ran = vartk(*words)
        assert ran.code == 0
        for name, summary in COMMANDS.items():
            assert f" {name} {summary} " in " ".join(ran.out.split())


def test_the_version(vartk):
    assert vartk("--version").out == f"vartk {package.__version__}\n"


@pytest.mark.parametrize("words", [["smaple"], ["smaple", "--help"], ["smaple", "x", "--out", "y"]])
def test_an_unknown_command_gets_the_nearest(refused, words):
    message = refused(*words)
    assert message.startswith("vartk: unknown command 'smaple'; did you mean 'sample'? Valid: app, ")


def test_an_unknown_option_gets_the_usage_of_its_command(refused):
    message = refused("list", "--bogus")
    assert message.startswith("usage: vartk list ")
    assert message.endswith("vartk list: error: unrecognized arguments: --bogus\n")


@pytest.mark.parametrize("command", ["train", "config", "sample", "show"])
def test_a_command_without_its_arguments(refused, command):
    assert "the following arguments are required" in refused(command)


def test_settings_may_stand_anywhere(vartk):
    ran = vartk(
        "config", "show", "demo", "image_size=32", "--json", "augment.flip=true", "transformer.depth=2"
    )
    config = json.loads(ran.out)["config"]
    assert (config["image_size"], config["augment"]["flip"], config["transformer"]["depth"]) == (32, True, 2)


def test_a_word_among_settings_that_is_none(refused):
    message = refused("config", "show", "demo", "image_size=32", "--json", "flip")
    assert message == "vartk: 'flip' is not a setting; write key=value, as in guidance.scale=3\n"


COMMAND_PLUGIN = """
from vartk_registry import CommandSpec, hookimpl

def configure(parser):
    parser.add_argument("--times", type=int, default=1)

def run(arguments):
    print("hello " * arguments.times)
    return 7

def interrupted(arguments):
    raise KeyboardInterrupt

@hookimpl
def vartk_commands():
    return [
        CommandSpec(name="hello", summary="say hello", configure=configure, run=run),
        CommandSpec(name="wait", summary="wait for Ctrl-C", configure=configure, run=interrupted),
        CommandSpec(name="list", summary="not vartk's list", configure=configure, run=run),
    ]
"""


def test_a_plugin_adds_commands(vartk, install):
    install("acme_commands", COMMAND_PLUGIN)
    assert f"{'hello':13}  say hello" in vartk("--help").out
    ran = vartk("hello", "--times", 2)
    assert (ran.code, ran.out) == (7, "hello hello \n")


def test_a_plugin_replaces_no_command_of_vartk(vartk, install):
    install("acme_commands", COMMAND_PLUGIN)
    assert "not vartk's list" not in vartk("--help").out
    assert "sampler/greedy" in vartk("list", "sampler").out


def test_an_interrupt_has_no_traceback(vartk, install):
    install("acme_commands", COMMAND_PLUGIN)
    ran = vartk("wait")
    assert (ran.code, ran.err) == (130, "vartk: interrupted\n")


def test_ctrl_c_while_sampling(model_folder, tmp_path):
    words = ["sample", model_folder, "--count", "100000", "batch=1", "--out", tmp_path / "out"]
    with subprocess.Popen([*COMMAND, *map(str, words)], stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("sample"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert rest.endswith("vartk: interrupted\n")
    assert "Traceback" not in rest


def test_a_reader_that_leaves_early():
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run([*COMMAND, "list"], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (1, "")
