"""Training with several processes: equal to one process, in both ways, on one code path."""

import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
import torch.distributed as dist
from omegaconf import OmegaConf
from tiny import CONFIG, images_folder, tiny_composed, tiny_model
from torch.distributed.fsdp import FSDPModule

from vartk.cli.main import main
from vartk.config import StageConfig
from vartk.engine.data import EndlessBatches
from vartk.engine.distributed import World, shard
from vartk.engine.folder import save_model
from vartk.engine.recipes import tokenize_dataset
from vartk.engine.training import Run
from vartk.engine.training.trainer import Trainer
from vartk.files import load_tensors
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A YAML file, images, a tokenizer and its tokens; nothing is drawn in training."""
    folder = tmp_path_factory.mktemp("distributed")
    images = images_folder(folder / "images")
    config = OmegaConf.create(CONFIG)
    OmegaConf.update(config, "dataset", {"name": "folder", "path": str(images)})
    OmegaConf.update(config, "transformer.drop_path", 0.0)
    OmegaConf.update(config, "train.transformer.label_drop", 0.0)
    for stage in ("tokenizer", "transformer"):
        OmegaConf.update(config, f"train.{stage}.ema", 0.5)
        OmegaConf.update(config, f"train.{stage}.accumulate", 2)
    OmegaConf.save(config, folder / "config.yaml")
    save_model(tiny_model(predictor=False), folder / "tokenizer")
    tokenize_dataset(
        tiny_composed(images).config,
        folder / "tokenizer",
        folder / "tokens",
        device="cpu",
        progress=lambda split, done, total: None,
    )
    return folder


def words(folder, stage, out, *more):
    of_stage = ["--tokenizer", folder / "tokenizer", "--tokens", folder / "tokens"]
    given = [folder / "config.yaml", "--out", out, *(of_stage if stage == "transformer" else []), *more]
    return ["train", stage, *map(str, given)]


LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def torchrun(*arguments, module=("-m", "vartk"), largest_file=resource.RLIM_INFINITY):
    limit = (largest_file, resource.RLIM_INFINITY)
    return subprocess.Popen(
        [sys.executable, *LAUNCH, *module, *arguments],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def alone(*arguments):
    assert main(arguments) == 0


def together(*arguments):
    process = torchrun(*arguments)
    out, log = process.communicate(timeout=300)
    assert process.returncode == 0, log
    return out, log


def assert_same(run, expected, stage):
    weights, others = (load_tensors(path / "model" / f"{stage}.safetensors") for path in (run, expected))
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        # the gradients of biases before a normalisation are rounding errors, which AdamW makes steps of
        atol = 2e-3 if name.endswith("bias") else 1e-4
        torch.testing.assert_close(tensor, others[name], rtol=1e-3, atol=atol, msg=name)
    lines, expected_lines = Run(run).metrics(), Run(expected).metrics()
    assert [line["step"] for line in lines] == [line["step"] for line in expected_lines]
    for line, other in zip(lines, expected_lines, strict=True):
        assert line == pytest.approx(other, rel=1e-3, abs=1e-4)


def test_an_opponent_trains_in_two_processes_and_goes_on_in_one(folder, tmp_path):
    name, run = "train.tokenizer.adversarial", tmp_path / "run"
    settings = [f"{name}=patch", f"{name}.layers=2", f"{name}.width=8", f"{name}_start=0.0"]
    together(*words(folder, "tokenizer", run, *settings, "train.tokenizer.steps=2"))
    alone(*words(folder, "tokenizer", run, "train.tokenizer.steps=4", "--resume"))
    lines = [line for line in Run(run).metrics() if "loss" in line]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    for line in lines:
        assert {"adversarial", "adversarial_weight", "discriminator"} < line.keys()
        assert all(map(math.isfinite, line.values()))
        assert not line.get("skipped")


def test_shards_and_checkpoints_move_between_numbers_of_processes(folder, tmp_path):
    def half(out):
        return words(folder, "transformer", out, "train.transformer.steps=2", "train.transformer.warmup=0")

    def rest(out):
        return words(folder, "transformer", out, "train.transformer.steps=4", "--resume")

    fsdp = "train.transformer.parallel=fsdp"
    alone(*half(tmp_path / "one"))
    together(*half(tmp_path / "two"), fsdp)
    assert_same(tmp_path / "two", tmp_path / "one", "transformer")
    (tmp_path / "one").rename(tmp_path / "one-two")
    alone(*half(tmp_path / "one"))
    alone(*rest(tmp_path / "one"))
    together(*rest(tmp_path / "one-two"), fsdp)
    alone(*rest(tmp_path / "two"))
    assert_same(tmp_path / "one-two", tmp_path / "one", "transformer")
    assert_same(tmp_path / "two", tmp_path / "one", "transformer")


def test_a_checkpoint_that_is_written_beside_the_steps_is_that_of_its_step(folder, tmp_path):
    run, whole = tmp_path / "run", tmp_path / "whole"
    settings = [f"train.transformer.{key}" for key in ("parallel=fsdp", "save_every=1", "keep=9")]
    _, log = together(*words(folder, "transformer", run, "train.transformer.steps=6", *settings))
    assert "Warning" not in log
    shutil.copytree(run, whole)
    for step in (4, 5, 6):
        shutil.rmtree(run / "checkpoints" / f"step-{step:08d}")
    together(*words(folder, "transformer", run, "--resume"))
    assert_same(run, whole, "transformer")


def test_a_full_disk_ends_all_processes_with_the_reason(folder, tmp_path):
    settings = ["train.transformer.save_every=2", "train.transformer.steps=100000"]
    process = torchrun(*words(folder, "transformer", tmp_path / "run", *settings), largest_file=40_000)
    _, log = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "step-00000002 could not be written: File too large" in log
    assert "]: Traceback" not in log  # of a process that lost the others
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


EXCHANGE = """
import threading
import torch
from vartk.engine.distributed import processes

heard = {}

def listen(world, name):
    heard[name] = world.told(f"{name} of {world.rank}")

with processes(torch.device("cpu")) as (world, _):
    thread = threading.Thread(target=listen, args=(world.beside(), "thread"))
    if world.leads:  # which speaks in the thread first, and the other one listens there last
        thread.start()
        thread.join(3)
    listen(world, "main")
    if not world.leads:
        thread.start()
    thread.join()
    print(f"{world.rank}: {heard['main']}, {heard['thread']}")
"""


def test_a_thread_beside_training_has_a_channel_of_its_own(tmp_path):
    (tmp_path / "exchange.py").write_text(EXCHANGE)
    process = torchrun(str(tmp_path / "exchange.py"), module=())
    out, log = process.communicate(timeout=120)
    assert sorted(out.splitlines()) == [f"{rank}: main of 0, thread of 0" for rank in (0, 1)], log


def test_a_stopped_run_of_two_processes_is_saved(folder, tmp_path):
    run = tmp_path / "run"
    settings = ["train.tokenizer.steps=100000", "train.tokenizer.workers=1"]
    process = torchrun(*words(folder, "tokenizer", run, *settings))
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=120)
    stopped = [line for line in log.splitlines() if line.startswith("stopped after step")]
    assert len(stopped) == 1, log
    step = int(stopped[0].split()[3].rstrip(","))
    assert (run / "checkpoints" / f"step-{step:08d}").is_dir()


def test_each_process_takes_its_share_of_every_batch():
    def batches(rank, size):
        return list(EndlessBatches(10, 6, seed=1, start=2, stop=5, world=World(rank, size)))

    whole = batches(0, 1)
    parts = [batches(rank, 3) for rank in range(3)]
    assert [[view for share in shares for view in share] for shares in zip(*parts, strict=True)] == whole
    assert all(len(share) == 2 for part in parts for share in part)


class Needs:
    """A stage that is asked no more than its settings."""

    name = "transformer"
    module = torch.nn.Linear(1, 1)
    opponent = None
    judge = None

    def __init__(self, parallel="ddp", **settings):
        self.parallel = parallel
        self.train = StageConfig(**settings)

    def prepare(self, device, *, compiled):
        pass


def test_what_several_processes_cannot_do_is_refused():
    with pytest.raises(VartkError, match=r"batch=9 .*accumulate=1 equal parts in each of 2 .*batch=10"):
        Trainer(Needs(batch=9), torch.device("cpu"), World(0, 2))
    with pytest.raises(VartkError, match=r"parallel=fsdp .*take train.transformer.precision=bf16"):
        Trainer(Needs(batch=8, precision="fp16", parallel="fsdp"), torch.device("cpu"), World(0, 2))


def test_two_processes_train_both_stages_as_one_does(folder, tmp_path):
    config, two, one = str(folder / "config.yaml"), tmp_path / "two", tmp_path / "one"
    both = ("train", "both", config, "train.transformer.views=5", "--out")
    out, log = together(*both, str(two))
    assert out.count("model: ") == 1  # the first process speaks for both
    assert log.count("step 4 validation") == 2  # one a stage
    alone(*both, str(one))
    for stage in ("tokenizer", "transformer"):
        assert_same(two / stage, one / stage, stage)
    # as if it was stopped between the stages
    shutil.rmtree(two / "transformer")
    shutil.rmtree(two / "tokens")
    together("train", "both", config, "--out", str(two), "--resume")
    assert_same(two / "transformer", one / "transformer", "transformer")


def test_two_processes_make_the_tokens_of_a_transformer(folder, tmp_path):
    # of 45 views one process takes the first 32, the other one the rest
    words = ["train", "transformer", folder / "config.yaml", "train.transformer.views=5"]
    for run, run_it in ((tmp_path / "two", together), (tmp_path / "one", alone)):
        run_it(*map(str, [*words, "--tokenizer", folder / "tokenizer", "--out", run]))
    for name in ("train.safetensors", "validation.safetensors", "train.captions.json", "tokens.json"):
        shared, whole = (tmp_path / f"{run}-tokens" / name for run in ("two", "one"))
        assert shared.read_bytes() == whole.read_bytes(), name
    assert_same(tmp_path / "two", tmp_path / "one", "transformer")


def test_the_demo_is_not_for_several_processes(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    monkeypatch.setenv("RANK", "0")
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 2
    assert "runs in one process; type it without torchrun" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_blocks_of_a_transformer_are_sharded_one_by_one(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        predictor = tiny_model().predictor
        shard(predictor, torch.device("cpu"))
        units = [name for name, part in predictor.named_modules() if isinstance(part, FSDPModule)]
    finally:
        dist.destroy_process_group()
    assert units == ["", "transformer.blocks.0", "transformer.blocks.1"]
