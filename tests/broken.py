"""Components that break one rule of an interface each, and the words that name the rule."""

import pickle
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import random
from types import FunctionType

import torch
from keeping import EveryOther, FirstHalf, KeepAll, KeepAllState
from smallest import (
    PLAIN,
    WEIGHTS,
    Colours,
    Dense,
    Difference,
    Drawn,
    Edges,
    Greys,
    Halving,
    Imports,
    Names,
    OneLayer,
    OneLayerSession,
    Patches,
    Rows,
    Squares,
    Unguided,
)

from vartk_registry import MaskSpec, VartkError
from vartk_registry.interfaces import CodeSpace, Draw, Example, Schedule
from vartk_registry.testing import Codebook, dense_attend


def broken(base, **changes):
    """A subclass with other attributes; a function takes the original method before the arguments."""

    def method(name, change):
        return lambda self, *args, **named: change(partial(getattr(base, name), self), *args, **named)

    changed = {
        name: method(name, change) if isinstance(change, FunctionType) else change
        for name, change in changes.items()
    }
    return type(f"Broken{base.__name__}", (base,), changed)


def with_space(loss):
    """A codebook whose codes have another loss."""
    return partial(Codebook, space=broken(CodeSpace, loss=loss)(PLAIN.classes))


def stateful(base, **changes):
    """A cache strategy whose state is broken."""
    return broken(base, state=broken(base.state, **changes))


class NarrowedViews(KeepAllState):
    def narrow(self, batch):
        self.kept = {layer: (k[:batch], v[:batch]) for layer, (k, v) in self.kept.items()}


class AttendsToOneQuery(KeepAllState):
    def attend(self, layer, step, q, k, v, attend):
        return attend(q, *self.append(layer, step, q, k, v))[:, :1]


class Leaking(KeepAll):
    shared = KeepAllState()

    def start(self, plan):
        return self.shared


class Letters(Names):
    def __init__(self):
        super().__init__()
        self.choices = "abc"


class LastSample(OneLayerSession):
    def narrow(self, batch):
        self.cache.kept = {0: tuple(kv.flip(0)[:batch] for kv in self.cache.kept[0])}


class EntersAlone(OneLayerSession):
    def hidden(self, inputs):
        enter = getattr(self.cache, "enter", lambda layer, step, x: x)
        enter(0, self.step_index, self.x if inputs is None else inputs)
        return super().hidden(inputs)


class SecondHalf(OneLayerSession):
    def guided_step(self, inputs, layer, mix):
        return super().guided_step(inputs, layer, lambda a, b: mix(b, a))


def cut(output):
    """A tokenizer's output without a gradient to the encoder."""
    return replace(output, images=output.images.detach().requires_grad_(), losses={})


def unmasked(q, k, v, *, mask, scale):
    return dense_attend(q, k, v, mask=MaskSpec.full(mask.q_len, mask.kv_len), scale=scale)


def shifted(steps):
    """A generation of images that are too bright."""
    for step in steps:
        yield replace(step, images=lambda made=step.images: made() + 1)


def reads(read):
    """An importer's call that reads every file in a way of its own."""
    return lambda original, a, b: original(WEIGHTS[0], b) if read(a) is None else None


def nameless(path):
    if path not in WEIGHTS:
        raise VartkError("no")


def unpickle(path):
    if path in WEIGHTS:
        return
    with suppress(Exception):
        pickle.loads(path.read_bytes())
    raise VartkError(f"{path} cannot be read")


SIZE = "must have shape"


BROKEN = {
    "schedule": [
        (broken(Halving, __call__=lambda o, x: Schedule.of([1, 2])), "must end at the latent"),
        (broken(Halving, __call__=lambda o, x: Schedule.of([9, x])), "run coarse to fine"),
        (broken(Halving, __call__=lambda o, x: [1, x]), "must return a Schedule"),
        (broken(Halving, __call__=lambda o, x: Schedule.of([(1.0, 1.0), x])), "must be int"),
    ],
    "guidance": [
        (broken(Unguided, weight=lambda o, s, n: torch.inf), "weight(0, 1) must be a finite"),
        (broken(Unguided, mix=lambda o, c, n, w: n), "weight 0 must mean the conditional"),
        (broken(Unguided, mix=lambda o, c, n, w: c.mul_(1 + w)), "leave the logits"),
        (broken(Unguided, mix=lambda o, c, n, w: c.sum(-1)), SIZE),
    ],
    "generator": [
        (broken(Greys, takes="text"), "must be label or caption"),
        (broken(Greys, generate=lambda o, c, s: [*o(c, s)][:1]), "must be the number of steps"),
        (broken(Greys, generate=lambda o, c, s: [*o(c, s)][1:]), "must count up from 0"),
        (broken(Greys, generate=lambda o, c, s: o(c, [3] * len(s))), "another seed"),
        (broken(Greys, generate=lambda o, c, s: o(c, range(len(s)))), "depend on its batch"),
        (broken(Greys, generate=lambda o, c, s: shifted(o(c, s))), "in [0, 1]"),
        (broken(Greys, forward=lambda o, *a: o(*a).mean()), SIZE),
        (broken(Greys, forward=lambda o, *a: o(*a).detach()), "reach the weights"),
        (broken(Greys, forward=lambda o, i, c, g: o(i, c)), "the same loss"),
        (broken(Greys, drop=lambda o, c, d: c), "drop must"),
        (
            broken(Greys, parse=lambda o, v: o([min(int(x in ("dog", 1)), 1) for x in v])),
            "must be a VartkError",
        ),
    ],
    "sampler": [
        (broken(Drawn, __call__=lambda o, x, *a: x), "must return a Draw"),
        (broken(Drawn, __call__=lambda o, x, *a: o(x.mul_(2), *a)), "leave the logits"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmax(-1).int())), "must be int64"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmax(-1) + 8)), "lie in [0, 8)"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmax(-1).flatten())), SIZE),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(torch.rand_like(x).argmax(-1))), "`random`"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmin(-1))), "far above all others"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmax(-1), x)), "not be negative"),
        (broken(Drawn, __call__=lambda o, x, *a: Draw(x.argmax(-1), x.exp())), "sum to 1"),
    ],
    "quantizer": [
        (broken(Codebook, forward=lambda o, x: o(x).codes), "must return Quantized"),
        (broken(Codebook, forward=lambda o, x: replace(o(x), vectors=x)), "no gradient may pass"),
        (broken(Codebook, forward=lambda o, x: replace(o(x), codes=o(x).codes * 0)), "embed must"),
        (broken(Codebook, mix=lambda o, w: o(w.roll(1, -1))), "mix under weights"),
        (broken(Codebook, loss=lambda o, f, a: (f - a) ** 2), SIZE),
        (broken(Codebook, loss=lambda o, f, a: f[:, 0].sum()), "depend on the layout"),
        (with_space(lambda o, *a: o(*a).mean()), SIZE),
        (with_space(lambda o, x, c, s: o(-x, c, s)), "less loss than wrong"),
        (with_space(lambda o, x, c, s: o(x, c, 0)), "smoothing must raise"),
    ],
    "tokenizer": [
        (broken(Patches, latent_grid=lambda o, s: s), "but the schedule ends at (2, 4)"),
        (broken(Patches, encode=lambda o, *a: o(*a)[:2]), "3 scales need as many codes"),
        (broken(Patches, encode=lambda o, *a: o(*a)[::-1]), "codes of scale 0 must"),
        (broken(Patches, next_input=lambda o, f, k, s: o(f, 0, s)), "the input of scale 1 must"),
        (broken(Patches, accumulate=lambda o, *a: o(*a)[:1]), "accumulated latent must have"),
        (broken(Patches, decode=lambda o, f: o(f) + 2), "clamped to [-1, 1]"),
        (broken(Patches, forward=lambda o, *a: replace(o(*a), losses={"vq": torch.ones(2)})), "'vq'"),
        (broken(Patches, forward=lambda o, *a: cut(o(*a))), "the first parameter, encoder.weight"),
    ],
    "conditioner": [
        (broken(Names, takes="sound"), "takes must be 'label', 'caption' or 'both'"),
        (Letters, "choices must be a list of str"),
        (broken(Names, parse=lambda o, v: o(v)[:1]), "a parsed batch must have shape"),
        (broken(Names, forward=lambda o, b: o(b).vector), "must return a Condition"),
        (broken(Names, null=lambda o, n: o(1)), "a null batch must have shape (3,)"),
        (broken(Names, null=lambda o, n: o(n).float()), "must have the dtype"),
        (broken(Names, drop=lambda o, b, d: o(b, ~d)), "drop must put the null condition"),
        (broken(Names, drop=lambda o, b, d: b.masked_fill_(d, 26)), "drop must leave the batch"),
    ],
    "transformer": [
        (broken(OneLayer, forward=lambda o, *a: o(*a)[:, 1:]), "teacher-forced logits must have"),
        (broken(OneLayer, forward=lambda o, *a: o(*a[:3], unmasked)), "the cached step of scale 0"),
        (broken(OneLayer, session=LastSample), "scale 1 of a narrowed session"),
        (
            broken(
                OneLayer, session=broken(OneLayerSession, guided_step=lambda o, x, n, mix: o(x, n, torch.max))
            ),
            "guided_step must call mix once",
        ),
        (broken(OneLayer, session=EntersAlone), "must be called around each block, not as [('enter', 0)]"),
        (broken(OneLayer, session=SecondHalf), "a step guided to the first half must give its logits"),
        (
            broken(OneLayer, session=broken(OneLayerSession, step=lambda o, x: o(x)[:, :1])),
            "the cached step of scale 1 must equal the teacher-forced logits must have shape",
        ),
    ],
    "attention": [
        (broken(Dense, unsupported=lambda o, r: False), "must return a list of sentences"),
        (
            broken(Dense, __call__=lambda o, *a, scale, **n: o(*a, scale=0.25, **n)),
            "must equal softmax(scale q k^T + mask) v",
        ),
        (
            broken(Dense, prepare=lambda o, r: MaskSpec.full(r.mask.q_len, r.mask.kv_len)),
            "attention (scale-causal, float32) must equal",
        ),
        (broken(Dense, __call__=lambda o, *a, **n: o(*a, **n).double()), "must return torch.float"),
        (
            broken(Dense, __call__=lambda o, q, k, v, **n: o(q, k.detach() + 0 * k, v, **n)),
            "the gradient of k in attention",
        ),
        (broken(Dense, unsupported=lambda o, r: []), "dropout must be applied"),
    ],
    "cache": [
        (broken(KeepAll, lossless=None), "lossless must be True or False"),
        (broken(EveryOther, lossless=True), "as if every key and value were kept"),
        (broken(KeepAll, state=object), "must return a CacheState"),
        (Leaking, "must not see what an earlier one has kept"),
        (stateful(KeepAll, nbytes=lambda o: 0), "nbytes must count all tensors"),
        (broken(KeepAll, state=NarrowedViews), "nbytes must count all tensors"),
        (broken(KeepAll, state=AttendsToOneQuery), "the output of attend"),
        (stateful(KeepAll, append=lambda o, *a: [x[..., :2] for x in o(*a)]), "keys to attend to"),
        (stateful(KeepAll, restore=lambda o, *a: o(*a) * 0), "return an output of all tokens"),
        (stateful(EveryOther, select=lambda o, *a: torch.zeros(4, 2).long()), "distinct"),
        (stateful(FirstHalf, enter=lambda o, a, b, x: x.repeat(1, 2, 1)), "enter must return 1 to"),
        (stateful(FirstHalf, leave=lambda o, *a: o(*a)[..., 1:]), "the tokens that leave a block"),
        (broken(FirstHalf, lossless=True, steps=lambda o, s: 4), "unconditional_from must be from 4 to 4"),
        (broken(FirstHalf, seeded=lambda o, noise: noise), "seeded must return a CacheStrategy"),
        (
            stateful(broken(FirstHalf, lossless=True, unconditional_from=lambda o, s: 4)),
            "enter of a lossless cache",
        ),
        (stateful(EveryOther, select=lambda o, *a: torch.zeros(2, 4)), "indices [B, m]"),
        (
            stateful(EveryOther, restore=lambda o, *a: o(*a).flip(1) if a[2] else o(*a)),
            "the computed tokens in their places",
        ),
    ],
    "dataset": [
        (broken(Squares, __len__=lambda o: 0), "at least one example"),
        (broken(Squares, classes=("dark", "light")), "classes must be a list of str"),
        (broken(Squares, classes=["dark"]), "label 1 must be the index of one of 1 classes"),
        (broken(Squares, __getitem__=lambda o, i: o(i).image), "must be an Example"),
        (
            broken(Squares, __getitem__=lambda o, i: Example(o(i).image.convert("L"))),
            "images must be RGB, not L",
        ),
        (
            broken(Squares, __getitem__=lambda o, i: replace(o(i), caption=str(random()))),
            "must always give the same example",
        ),
    ],
    "discriminator": [
        (lambda: Difference(), "must be a torch.nn.Module"),
        (broken(Colours, forward=lambda o, a: o(a)[:2]), "logits must have shape (3, 64, 64)"),
        (broken(Colours, forward=lambda o, a: o(a).mean()), "logits must have shape (3,)"),
        (broken(Colours, forward=lambda o, a: o(a.detach())), "gradients must reach the images"),
        (broken(Colours, forward=lambda o, a: o(a) - o(a).mean()), "must not depend on the others"),
        (lambda: Colours(torch.nn.BatchNorm2d(3)), "in training mode, too, an image's logits must not"),
        (lambda: Colours().requires_grad_(False), "must have parameters that are trained"),
        (lambda: Colours(unused=torch.nn.Parameter(torch.ones(2))), "gradients must reach every parameter"),
    ],
    "feature": [
        (lambda: Difference(), "must be a torch.nn.Module"),
        (lambda: Edges().train(), "must be built in evaluation mode"),
        (lambda: Edges().requires_grad_(), "must be frozen"),
        (broken(Edges, label=""), "label must be a name"),
        (broken(Edges, distance=lambda o, a, b: o(a, b).mean()), "distance must have shape (3,)"),
        (broken(Edges, distance=lambda o, a, b: o(a, b) + 1), "the distance of equal images must be 0"),
        (broken(Edges, distance=lambda o, a, b: 0 * o(a, b)), "of different images must be above 0"),
        (broken(Edges, pooled=lambda o, a: o(a) / len(a)), "must not depend on the batch"),
        (broken(Edges, pooled=lambda o, a: a.flatten(1)), "must have one width"),
    ],
    "metric": [
        (broken(Difference, takes="pictures"), "takes='pictures' must be"),
        (broken(Difference, compute=lambda o: o()["l1"]), "must return floats by name"),
        (broken(Difference, compute=lambda o: {"l1": torch.nan}), "how the images are batched"),
        (
            broken(Difference, update=lambda o, a, b: o(a[:1], b[:1])),
            "l1 must not depend on how the images are batched",
        ),
    ],
    "importer": [
        (broken(Imports, __call__=lambda o, a, b: o(a, b).config), "it must return Imported"),
        (broken(Imports, __call__=lambda o, a, b: replace(o(a, b), config={})), "as in model.yaml"),
        (broken(Imports, __call__=lambda o, a, b: replace(o(a, b), transformer=None)), "must hold weights"),
        (
            broken(Imports, __call__=lambda o, a, b: replace(o(a, b), original_name=lambda name: "")),
            "must be a name in the foreign files",
        ),
        (broken(Imports, __call__=lambda o, a, b: replace(o(a, b), notes="none")), "a tuple of sentences"),
        (broken(Imports, __call__=reads(lambda path: None)), "a file that is not there must be refused"),
        (broken(Imports, __call__=reads(Path.read_bytes)), "must be refused with a VartkError, not FileNotF"),
        (broken(Imports, __call__=reads(nameless)), "must name the file, unlike: no"),
        (broken(Imports, __call__=reads(unpickle)), "code in a pickle must not run"),
    ],
    "logger": [
        (broken(Rows, log=lambda o, step, values: values.clear()), "must leave the numbers"),
        (broken(Rows, picture=lambda o, step, image: image.mul_(255)), "must leave the image"),
    ],
}
