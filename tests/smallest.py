"""The smallest components that follow the interfaces, one or two of a kind."""

from functools import partial
from pathlib import Path

import torch
from keeping import EveryOther, FirstHalf, KeepAll
from PIL import Image
from torch import nn
from torch.nn import functional as F

from vartk_registry import MaskSpec, VartkError
from vartk_registry.interfaces import (
    CodeSpace,
    Condition,
    Draw,
    Example,
    Generated,
    Imported,
    Schedule,
    TokenizerOutput,
)
from vartk_registry.testing import Codebook, dense_attend

SCHEDULE = Schedule.of((1, 2, (2, 4)))
PLAIN = CodeSpace(8)


class Halving:
    def __call__(self, latent):
        return Schedule.of([1, latent])


class Unguided:
    def weight(self, step, steps):
        return 0.0

    def mix(self, conditional, null, weight):
        return conditional + weight * (conditional - null)


class Drawn:
    def __call__(self, logits, step, steps, random):
        return Draw(random.categorical(logits.softmax(-1)), logits.softmax(-1))


class Patches(nn.Module):
    """Patches of 4x4 pixels, quantised residually scale by scale."""

    def __init__(self, channels=4):
        super().__init__()
        self.encoder = nn.Conv2d(3, channels, 4, stride=4)
        self.decoder = nn.ConvTranspose2d(channels, 3, 4, stride=4)
        self.quantizer = Codebook(channels)
        self.space, self.channels = self.quantizer.space, channels
        self.embed, self.mix = self.quantizer.embed, self.quantizer.mix

    def latent_grid(self, image_size):
        return image_size[0] // 4, image_size[1] // 4

    def _code(self, features, schedule):
        f_hat, codes = None, []
        for step in range(len(schedule)):
            rest = features if f_hat is None else features - f_hat
            codes.append(self.code(rest, step, schedule))
            f_hat = self.accumulate(f_hat, self.embed(codes[-1]), step, schedule)
        return codes, f_hat

    def forward(self, images, schedule):
        features = self.encoder(images)
        codes, f_hat = self._code(features, schedule)
        passed = features + (f_hat - features).detach()
        losses = {"vq": self.quantizer.loss(features, f_hat)}
        return TokenizerOutput(self.decoder(passed), codes, losses)

    def encode(self, images, schedule):
        return self._code(self.encoder(images), schedule)[0]

    def accumulate(self, f_hat, vectors, step, schedule):
        grid = vectors.mT.unflatten(2, schedule.grids[step])
        grown = F.interpolate(grid, schedule.latent)
        return grown if f_hat is None else f_hat + grown

    def next_input(self, f_hat, step, schedule):
        return F.adaptive_avg_pool2d(f_hat, schedule.grids[step]).flatten(2).mT

    def code(self, rest, step, schedule):
        return self.quantizer(F.adaptive_avg_pool2d(rest, schedule.grids[step]).flatten(2).mT).codes

    def decode(self, f_hat):
        return self.decoder(f_hat).clamp(-1, 1)


class Names(nn.Module):
    """Class names as letters of the alphabet; index 26 is the null class."""

    takes = "label"

    def __init__(self, width=8):
        super().__init__()
        self.table = nn.Embedding(27, width)
        self.choices = list("abcdefghijklmnopqrstuvwxyz")

    def parse(self, values):
        return torch.tensor([ord(value) - ord("a") for value in values])

    def forward(self, batch):
        return Condition(self.table(batch))

    def null(self, size):
        return torch.full((size,), 26)

    def drop(self, batch, dropped):
        return torch.where(dropped, 26, batch)


class OneLayerSession:
    def __init__(self, model, condition, schedule, cache, attend):
        self.model, self.attend, self.step_index = model, attend, 0
        self.x = model.start(condition, schedule)
        self.cache = cache.start(None)

    def step(self, inputs):
        return self.model.logits(self.hidden(inputs))

    def guided_step(self, inputs, layer, mix):
        half = mix(*self.hidden(inputs).chunk(2))
        return self.model.logits(torch.cat((half, half)))

    def hidden(self, inputs):
        x = self.x if inputs is None else self.model.embed(inputs)
        q, k, v = self.model.split(x)
        k, v = self.cache.append(0, self.step_index, q, k, v)
        self.step_index += 1
        mask = MaskSpec.full(q.shape[1], k.shape[1])
        return x + self.attend(q, k, v, mask=mask, scale=1.0).flatten(2)

    def narrow(self, batch):
        self.cache.narrow(batch)


class OneLayer(nn.Module):
    """One attention layer of two heads, on the condition at the first scale and inputs after it."""

    width = 8
    session = OneLayerSession

    def __init__(self, space=PLAIN, channels=4):
        super().__init__()
        self.embed = nn.Linear(channels, 8)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, space.width)
        self.space = space

    def split(self, x):
        return self.qkv(x).unflatten(-1, (3, 2, 4)).unbind(2)

    def logits(self, x):
        return self.head(x).unflatten(-1, self.space.logits_shape)

    def start(self, condition, schedule):
        return condition.vector[:, None].expand(-1, schedule.sizes[0], -1)

    def forward(self, inputs, condition, schedule, attend):
        x = torch.cat([self.start(condition, schedule), self.embed(inputs)], dim=1)
        q, k, v = self.split(x)
        out = attend(q, k, v, mask=MaskSpec.scale_causal(schedule), scale=1.0)
        return self.logits(x + out.flatten(2))

    def begin(self, condition, schedule, cache, attend):
        return self.session(self, condition, schedule, cache, attend)


class Dense:
    def unavailable(self):
        return ""

    def unsupported(self, request):
        return ["no dropout"] if request.dropout else []

    def prepare(self, request):
        return request.mask

    def __call__(self, q, k, v, *, scale, plan, dropout):
        return dense_attend(q, k, v, mask=plan, scale=scale)


class Squares:
    classes = ["dark", "light"]  # noqa: RUF012
    skipped = ["x.png: empty"]  # noqa: RUF012

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return Example(Image.new("RGB", (4, 6), (index, 0, 0)), label=index % 2)


class Edges(torch.nn.Module):
    label = "Edges"

    def __init__(self):
        super().__init__()
        self.filter = torch.nn.Conv2d(3, 5, 3)
        self.eval().requires_grad_(False)

    def distance(self, images, reference):
        return (self.filter(images) - self.filter(reference)).square().mean(dim=(1, 2, 3))

    def pooled(self, images):
        return self.filter(images).mean((2, 3))


class Colours(torch.nn.Module):
    """A logit for each pixel, after other modules."""

    def __init__(self, *before, **parameters):
        super().__init__()
        self.filter = torch.nn.Sequential(*before, torch.nn.Conv2d(3, 1, 1))
        for name, parameter in parameters.items():
            self.register_parameter(name, parameter)

    def forward(self, images):
        return self.filter(images)[:, 0]


class Difference:
    takes = "images"

    def __init__(self):
        self.total, self.count = 0.0, 0

    def update(self, images, reference):
        self.total += (images - reference).abs().mean(dim=(1, 2, 3)).sum().item()
        self.count += len(images)

    def compute(self):
        return {"l1": self.total / self.count}


class Rows:
    def __init__(self):
        self.rows = []

    def log(self, step, values):
        self.rows.append((step, values))

    def picture(self, step, image):
        self.rows.append((step, image))

    def close(self):
        self.rows.append("end")


class Shift(Difference):
    takes = "features"

    def update(self, found, reference):
        self.total += (found.sum() - reference.sum()).item()
        self.count += len(found)


WEIGHTS = [Path("tokenizer.weights"), Path("transformer.weights")]
"""Names of files that `Imports` reads from memory."""


class Imports:
    """Reads two files that need not be there."""

    def __call__(self, tokenizer, transformer):
        for path in filter(None, (tokenizer, transformer)):
            if path not in WEIGHTS:
                raise VartkError(f"{path} cannot be read")
        weights = {"weight": torch.ones(2)}
        return Imported(
            {"tokenizer": {"name": "patches"}}, weights, transformer and weights, lambda name: f"old.{name}"
        )


class Greys(nn.Module):
    """Images of noise around a grey value for each of two classes."""

    takes = "label"
    choices = ("cat", "dog")
    at_call = ()
    image_size = (16, 16)

    def __init__(self):
        super().__init__()
        self.grey = nn.Embedding(3, 1)

    def parse(self, values):
        indices = [self.choices.index(v) if v in self.choices else v for v in values]
        if not all(i in (0, 1) for i in indices):
            raise VartkError("there are two classes, 0 and 1")
        return torch.tensor(indices)

    def generate(self, conditions, seeds):
        noise = torch.stack([torch.rand(3, 16, 16, generator=torch.manual_seed(seed)) for seed in seeds])
        images = (noise + self.grey(conditions).sigmoid()[..., None, None]) / 2
        for step in range(2):
            yield Generated(step, 2, lambda: images)

    def prepare(self, images):
        pass

    def drop(self, conditions, dropped):
        return torch.where(dropped, 2, conditions)

    def forward(self, images, conditions, generator=None):
        noise = torch.randn(images.shape, generator=generator)
        return (images + noise - self.grey(conditions)[..., None, None]).square().mean((1, 2, 3))


GOOD = [
    ("schedule", Halving),
    ("guidance", Unguided),
    ("sampler", Drawn),
    ("quantizer", Codebook),
    ("tokenizer", Patches),
    ("conditioner", Names),
    ("transformer", OneLayer),
    ("transformer", partial(OneLayer, CodeSpace(2, (3,)))),
    ("attention", Dense),
    ("cache", KeepAll),
    ("cache", EveryOther),
    ("cache", FirstHalf),
    ("generator", Greys),
    ("dataset", Squares),
    ("feature", Edges),
    ("discriminator", Colours),
    ("discriminator", lambda: Colours(torch.nn.BatchNorm2d(3).requires_grad_(False), torch.nn.Dropout(0.5))),
    ("discriminator", lambda: Colours(frozen=torch.nn.Parameter(torch.ones(2), requires_grad=False))),
    ("metric", Difference),
    ("metric", Shift),
    ("logger", Rows),
    ("importer", Imports),
]
