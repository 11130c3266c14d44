"""Standard output has the result of a command and nothing else, whatever plugins print."""

import json
import os
import subprocess
import sys

import pytest

LOUD = """
import torch
from vartk_registry import CommandSpec, ComponentSpec, hookimpl
from vartk_registry.interfaces import Draw

print("loud: imported")

class Loud:
    def __init__(self):
        print("loud: built")

    def __call__(self, logits, step, steps, random):
        print("loud: called")
        return Draw(logits.argmax(-1))

def configure(parser):
    print("loud: configured")

def run(arguments):
    print("the result")

@hookimpl
def vartk_components():
    print("loud: asked")
    return [ComponentSpec(kind="sampler", name="loud", target="acme_loud:Loud", summary="prints")]

@hookimpl
def vartk_commands():
    return [CommandSpec(name="loud", summary="print", configure=configure, run=run)]
"""


@pytest.fixture(autouse=True)
def _loud(install):
    install("acme_loud", LOUD)


def test_the_words_of_a_plugin_are_not_in_the_json(vartk, model_folder, tmp_path):
    ran = vartk("list", "sampler", "--json")
    assert "sampler/loud" in [row["name"] for row in json.loads(ran.out)["components"]]
    assert "loud: imported\nloud: asked\n" in ran.err
    ran = vartk("sample", model_folder, "sampler=loud", "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)
    assert "loud: built\nloud: called\n" in ran.err


def test_nor_in_a_table_or_a_help_text(vartk):
    for words in (["list", "sampler"], ["--help"], ["sample", "--help"], []):
        ran = vartk(*words)
        assert "loud:" not in ran.out
        assert ran.out


def test_nor_are_those_of_a_process_that_measures_memory(model_folder, tmp_path):
    words = ["bench", "sample", model_folder, "sampling.sampler=loud", "--batch", 1, "--repeats", 1, "--json"]
    path = os.pathsep.join([str(tmp_path / "site"), *sys.path])
    ran = subprocess.run(
        [sys.executable, "-m", "vartk", *map(str, words), "--precisions", "fp32"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout)["benchmark"] == "sample"
    assert "loud: called" in ran.stderr


def test_the_command_of_a_plugin_prints_its_result(vartk):
    ran = vartk("loud")
    assert (ran.code, ran.out) == (0, "the result\n")
    assert "loud: configured" in ran.err
