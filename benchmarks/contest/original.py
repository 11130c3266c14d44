"""Runs the published code of VAR from a checkout, as its demo and its training do."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from vartk_registry import VartkError

from .size import GUIDANCE, LATENT, TOP_K, TOP_P, VOCABULARY, Size

URL = "https://github.com/FoundationVision/VAR"
UNDECAYED = ("pos_1LC", "pos_start", "lvl_embed", "scale_mul")
"""Parts of the names of the matrices that its training does not decay."""


class Original:
    """VAR's published tokenizer and transformer, with random weights.

    Args:
        checkout: the folder of its repository.

    Attributes:
        attention: what computes its attention here.

    Raises:
        VartkError: the folder is no checkout, or its code cannot be imported.
    """

    name = "original"

    def __init__(self, checkout: Path, size: Size, depth: int, device: torch.device) -> None:
        require_checkout(checkout)
        self.size, self.device = size, device
        # of its forward pass, at every call
        warnings.filterwarnings("ignore", message=".*torch.cuda.amp|.*CUDA is not available")
        models = _module(checkout, "models")
        self._amp = _module(checkout, "utils.amp_sc")
        self._groups = _module(checkout, "utils.lr_control")
        with _initialisers_restored():
            self.vae, self.var = models.build_vae_var(
                device=device,
                patch_nums=size.sides,
                V=VOCABULARY,
                Cvae=LATENT,
                ch=size.channels,
                num_classes=size.classes,
                depth=depth,
                shared_aln=False,
            )
        torch.manual_seed(0)
        for module in (self.vae, self.var):
            _draw(module)
            module.eval().requires_grad_(False)
        self.attention = self._attention(_module(checkout, "models.basic_var"))

    def weights(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the state dicts of the tokenizer and of the transformer."""
        return self.vae.state_dict(), self.var.state_dict()

    @torch.no_grad()
    def logits(self, labels: Tensor, codes: Tensor) -> Tensor:
        """Return the teacher-forced logits [N, L, V] of codes [N, L], in fp32."""
        drop, self.var.cond_drop_rate = self.var.cond_drop_rate, 0.0  # it drops labels in evaluation, too
        inputs = self.vae.quantize.idxBl_to_var_input(self._split(codes))
        logits = self.var(labels, inputs)
        self.var.cond_drop_rate = drop
        return logits

    def sampler(self, batch: int) -> Callable[[], Tensor]:
        """Return its demo's call, fp16 on a GPU; the images are in [0, 1]."""
        labels = self.size.labels(batch, self.device)

        def sample() -> Tensor:
            with torch_settings(tf32=True), torch.inference_mode(), self._autocast():
                return self.var.autoregressive_infer_cfg(
                    B=batch, label_B=labels, cfg=GUIDANCE, top_k=TOP_K, top_p=TOP_P
                )

        return sample

    def trainer(self, batch: int) -> Callable[[], Tensor]:
        """Return its training step from codes on, bf16 on a GPU: its forward pass, loss and optimizer."""
        self.var.train().requires_grad_(True)
        names, parameters, groups = self._groups.filter_params(self.var, nowd_keys=UNDECAYED)
        optimizer = self._amp.AmpOptimizer(
            mixed_precision=2 if self.device.type == "cuda" else 0,
            optimizer=torch.optim.AdamW(
                groups, lr=1e-4 * batch / 256, betas=(0.9, 0.95), weight_decay=0, fused=True
            ),
            names=names,
            paras=parameters,
            grad_clip=2.0,
        )
        cross_entropy = nn.CrossEntropyLoss(reduction="none")
        labels = self.size.labels(batch, self.device)
        codes = self.size.codes(batch, self.device)
        weight = torch.ones(1, self.size.tokens, device=self.device) / self.size.tokens

        def step() -> Tensor:
            with torch_settings(tf32=True, benchmark=True):
                inputs = self.vae.quantize.idxBl_to_var_input(self._split(codes))
                with optimizer.amp_ctx:
                    logits = self.var(labels, inputs)
                    losses = cross_entropy(logits.view(-1, VOCABULARY), codes.view(-1)).view(batch, -1)
                    loss = losses.mul(weight).sum(dim=-1).mean()
                optimizer.backward_clip_step(stepping=True, loss=loss)
                logits.detach().argmax(dim=-1)  # what it does every step, for the accuracy
            return loss.detach()

        return step

    def _split(self, codes: Tensor) -> list[Tensor]:
        return list(codes.split([side**2 for side in self.size.sides], dim=1))

    def _autocast(self) -> Any:
        cuda = self.device.type == "cuda"
        return torch.autocast("cuda", dtype=torch.float16, cache_enabled=True) if cuda else nullcontext()

    def _attention(self, blocks: ModuleType) -> str:
        attention = self.var.blocks[0].attn
        if attention.using_flash or attention.using_xform:
            return "flash-attn" if attention.using_flash else "xformers"
        if blocks.slow_attn is not nn.functional.scaled_dot_product_attention:
            raise VartkError("the original's attention is not torch's scaled_dot_product_attention")
        return "torch's scaled_dot_product_attention"


def require_checkout(folder: Path) -> None:
    """Raise `VartkError` unless a folder holds the published code of VAR."""
    for name in ("models/var.py", "models/__init__.py", "utils/amp_sc.py", "utils/lr_control.py", "dist.py"):
        if not (folder / name).is_file():
            lacks = f"it has no {name}" if folder.is_dir() else "there is no such folder"
            raise VartkError(
                f"{folder} is no checkout of VAR's published code: {lacks}; clone {URL} and give that folder"
            )


def _module(checkout: Path, name: str) -> ModuleType:
    """Import a module of the checkout, which prints nothing."""
    sys.path.insert(0, str(checkout))
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise VartkError(f"the code in {checkout} cannot be imported: {error}") from error
    finally:
        sys.path.remove(str(checkout))
    for part in [module] if name != "models" else [module.var]:
        part.print = lambda *_, **__: None  # its training replaces print, by one that takes force=True
    return module


@contextmanager
def _initialisers_restored() -> Iterator[None]:
    """Undo that building its models turns off the initial weights of every layer of torch."""
    layers = [layer for layer in vars(nn).values() if isinstance(layer, type)]
    own = {layer: vars(layer).get("reset_parameters") for layer in layers}
    yield
    for layer, before in own.items():
        if before is not None:
            layer.reset_parameters = before
        elif "reset_parameters" in vars(layer):
            del layer.reset_parameters


@contextmanager
def torch_settings(*, tf32: bool, benchmark: bool = False) -> Iterator[None]:
    """Set torch's process-wide switches for the time being: TF32, and cuDNN's search for kernels."""
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    cudnn.allow_tf32, cudnn.benchmark = tf32, benchmark
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32, cudnn.benchmark = before[1:]


def _draw(module: nn.Module) -> None:
    """Draw weights of which each matters to the result, small enough for fp16."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d)):
            nn.init.normal_(part.weight, std=part.weight[0].numel() ** -0.5)
