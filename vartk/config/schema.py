"""The keys of a configuration: dataclasses with help and ranges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vartk_registry import param

AUTO = "auto"
"""What leaves a choice to vartk: for attention, the first backend that can serve each request."""

CHAIN = "chain"
"""The "cache" or "conditioner" that stands for several, its `parts`."""

OWN = "model"
"""The "schedule" of sampling that stands for the one which the model was made with."""

NO_FEATURE = "none"
"""The "feature" of a tokenizer's training that stands for no perceptual distance."""

NO_ADVERSARY = "none"
"""The "discriminator" that stands for a tokenizer's training without an opponent."""

NO_GENERATOR = "none"
"""The "generator" of next-scale models, whose transformer draws."""

NO_LOGGER = "none"
"""The "logger" that stands for the run folder's own files alone."""

ALIASES = {"train.tokenizer.from": "start_from", "train.transformer.from": "start_from"}
"""Other spellings of keys, and the last part of the key: `from` is a word of Python, which names no field."""


@dataclass(kw_only=True, slots=True)
class Slot:
    """A replaceable part: the name of a component, and its parameters beside it.

    In a file or on the command line `cache: full` is short for `cache: {name: full}`, and
    `cache.ratio=0.4` sets a parameter. Naming another component drops the parameters of the old one.
    """

    name: str
    params: dict[str, Any] = field(default_factory=dict)


def slot(kind: str, name: str, *, also: tuple[str, ...] = (), chained: bool = False, **params: Any) -> Any:
    """Declare a slot for a kind of component; `also` are names that are no component's.

    Where `chained`, a list of components is short for `{name: chain, parts: [...]}`.
    """
    several = "; a list of names is a chain" if chained else ""
    help = f"name and parameters of the {kind}{several}"
    metadata = {"kind": kind, "also": also, "chained": chained, "help": help}
    return field(default_factory=lambda: Slot(name=name, params=dict(params)), metadata=metadata)


def _attention() -> Any:
    return slot("attention", AUTO, also=(AUTO,))


@dataclass(kw_only=True, slots=True)
class DiversityConfig:
    """More different images of one condition (DiverseVAR); both strengths of 0 turn it off."""

    suppress: float = param(
        0.0, "how strongly the dominant directions of the tokens are damped before each block", low=0, high=4
    )
    amplify: float = param(
        0.0, "how strongly the dominant directions of the tokens are lifted after each block", low=0, high=4
    )
    scales: list[int] = param([2, 3], "indices of the scales at which this is done, from 0", low=0)


@dataclass(kw_only=True, slots=True)
class SamplingConfig:
    """How images are sampled."""

    guidance: Slot = slot("guidance", "linear")
    sampler: Slot = slot("sampler", "categorical", top_k=900, top_p=0.96)
    cache: Slot = slot("cache", "full", chained=True)
    attention: Slot = _attention()
    schedule: Slot = slot("schedule", OWN, also=(OWN,))
    diversity: DiversityConfig = field(default_factory=DiversityConfig)
    size: Any = param(
        None, "image size in pixels, a side or [height, width]; null is the size that the model was made for"
    )
    random: str = param(
        "per_image",
        "per_image: a seed gives the same image in any batch and on any device; shared: one stream, as in "
        "the original",
        choices=("per_image", "shared"),
    )
    batch: int = param(16, "images that are sampled at once", low=1)
    precision: str = param(
        "auto",
        "arithmetic: plain (layers as they are), fp32 (the same, faster), bf16, fp16; auto is half "
        "precision on a GPU and fp32 elsewhere",
        choices=("auto", "plain", "fp32", "bf16", "fp16"),
        removed={"int8": "take 'bf16', which is as fast"},
    )
    decode_tile: int | None = param(
        None,
        "side of the squares, in pixels, in which a large image is decoded: less memory, more time, the same "
        "image; null decodes it whole",
        low=8,
    )
    compile: bool = param(False, "compile the transformer's blocks with torch.compile; the start is slow")
    record: str = param(
        "auto",
        "CUDA graphs: auto records a generation on a GPU and replays it for the batches that follow; always "
        "records the first one already, on a CPU too as a check, and refuses what cannot be recorded; never",
        choices=("auto", "always", "never"),
    )


@dataclass(kw_only=True, slots=True)
class GeneratorSampling:
    """How images are sampled by a generator, a whole system beside next-scale models."""

    generator: Slot = slot("generator", NO_GENERATOR, also=(NO_GENERATOR,))
    batch: int = param(16, "images that are sampled at once", low=1)
    precision: str = param(
        "auto",
        "arithmetic: fp32, bf16 or fp16; auto is half precision on a GPU and fp32 elsewhere",
        choices=("auto", "fp32", "bf16", "fp16"),
    )


@dataclass(kw_only=True, slots=True)
class ModelConfig:
    """What a model is made of; `model.yaml` of a model folder holds exactly this."""

    image_size: Any = param(256, "image size in pixels: the side of a square, or [height, width]")
    buckets: list[Any] = param(
        [],
        "further sizes of training images, as for `image_size`: each image gets the one nearest to its ratio",
    )
    tokenizer: Slot = slot("tokenizer", "var_vqvae")
    quantizer: Slot = slot("quantizer", "vq")
    schedule: Slot = slot("schedule", "var-256")
    classes: list[str] = param(
        [], "class names in the order of their indices; if empty, training takes those of the dataset"
    )
    conditioner: Slot = slot("conditioner", "class", chained=True)
    transformer: Slot = slot("transformer", "var")
    generator: Slot = slot("generator", NO_GENERATOR, also=(NO_GENERATOR,))
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    calibration: dict[str, Any] = param(
        {}, "default parameters of cache strategies, as measured by `vartk calibrate`"
    )


@dataclass(kw_only=True, slots=True)
class AugmentConfig:
    """How training images are varied; validation images are resized and cropped at the centre."""

    scale: float = param(
        1.125, "resize the shorter side to this multiple of the image size, then crop", low=1.0
    )
    flip: bool = param(False, "mirror half of the images")


@dataclass(kw_only=True, slots=True)
class DataConfig:
    """How much of the training data is used; validation images are always all used."""

    share: float = param(
        1.0, "share of the training images; a smaller share is a part of a larger one", above=0, high=1
    )
    seed: int = param(0, "which images a share has", low=0)


@dataclass(kw_only=True, slots=True)
class StageConfig:
    """What both stages of training share."""

    steps: int = param(100_000, "optimizer steps", low=1)
    batch: int = param(64, "images per step", low=1)
    accumulate: int = param(
        1, "split the batch into this many equal parts, computed one after the other", low=1
    )
    lr: float = param(1e-4, "peak learning rate", above=0)
    lr_scaling: bool = param(False, "take `lr` as the rate for a batch of 256, and scale it with the batch")
    final_lr: float = param(0.1, "final learning rate, as a share of the peak", low=0, high=1)
    warmup: float = param(0.02, "share of the steps in which the learning rate rises", low=0, high=1)
    flat: float = param(0.0, "share of the steps at the peak, before the learning rate falls", low=0, high=1)
    betas: tuple[float, float] = param((0.9, 0.95), "decay rates of AdamW's two moments", low=0, high=0.99999)
    weight_decay: float = param(
        0.05, "weight decay of matrices; vectors, biases and positions have none", low=0
    )
    final_weight_decay: float | None = param(
        None, "final weight decay, reached along a cosine; null keeps `weight_decay`", low=0
    )
    clip: float = param(2.0, "clip the gradient to this norm; 0 turns clipping off", low=0)
    ema: float = param(
        0.0,
        "decay of the averaged (EMA) weights, which are saved and sampled; 0 turns them off",
        low=0,
        high=1,
    )
    precision: str = param(
        "fp32",
        "precision of the forward pass; auto is bf16 where the device has its arithmetic, and fp32 elsewhere",
        choices=("auto", "fp32", "bf16", "fp16"),
    )
    compile: Any = param(
        AUTO,
        "compile the training step with torch.compile: auto does on a GPU with Triton, in a run of at least "
        "1,000 steps",
        choices=(AUTO, True, False),
    )
    max_skipped: int = param(
        10, "end the run after this many skipped steps in a row (loss or gradient not finite)", low=1
    )
    seed: int = param(0, "seed of the initial weights, the order of the data and every draw", low=0)
    workers: int = param(0, "processes that load images; with 0 the training process loads them", low=0)
    log_every: int = param(10, "steps between lines of metrics", low=1)
    eval_every: int = param(1000, "steps between validations", low=1)
    eval_images: int = param(256, "largest number of validation images", low=1)
    preview_every: int = param(1000, "steps between preview pictures", low=1)
    save_every: int = param(1000, "steps between checkpoints", low=1)
    keep: int = param(2, "number of checkpoints that are kept", low=1)
    logger: Slot = slot("logger", NO_LOGGER, also=(NO_LOGGER,))


@dataclass(kw_only=True, slots=True)
class TokenizerTraining(StageConfig):
    """The first stage: the reconstruction's losses are weighted sums."""

    start_from: str | None = param(
        None,
        "a trained tokenizer, or a model with one, by its folder or name, whose weights the training starts "
        "from; another quantizer keeps its own; null starts from random weights",
    )
    l1: float = param(0.2, "weight of the mean absolute error", low=0)
    l2: float = param(1.0, "weight of the mean squared error", low=0)
    vq: float = param(1.0, "weight of the quantizer's losses", low=0)
    kmeans_images: int = param(
        0,
        "number of training images whose vectors start the codebook, by k-means; 0 starts it at random",
        low=0,
    )
    perceptual: Slot = slot("feature", NO_FEATURE, also=(NO_FEATURE,))
    perceptual_weight: float = param(0.1, "weight of the perceptual distance", low=0)
    adversarial: Slot = slot("discriminator", NO_ADVERSARY, also=(NO_ADVERSARY,))
    adversarial_weight: float = param(
        0.4, "length of the adversarial gradient, as a share of the reconstruction gradient", low=0
    )
    adversarial_start: float = param(
        0.2, "share of the steps before the discriminator and its loss begin", low=0, high=1
    )
    discriminator_lr: float = param(
        1e-4, "peak learning rate of the discriminator; it follows the schedule of `lr`", above=0
    )


@dataclass(kw_only=True, slots=True)
class LoraConfig:
    """Adapters of low rank, which are trained in the place of a trained model's weights."""

    rank: int = param(
        0,
        "rank of the adapters beside the frozen weights of the model that `start_from` names; 0 trains all "
        "weights",
        low=0,
    )
    alpha: float | None = param(
        None, "factor of the adapters, divided by the rank; if not given, the rank, so that it is 1", above=0
    )
    modules: list[str] = param(
        [],
        "ends of the names of layers that get adapters, such as attention.qkv; if empty, all of the blocks",
    )


@dataclass(kw_only=True, slots=True)
class TransformerTraining(StageConfig):
    """The second stage: cross-entropy over the tokens of all scales."""

    start_from: str | None = param(
        None,
        "a trained model, by its folder or name, whose transformer the training starts from; weights that it "
        "does not have are new; null starts from random weights",
    )
    taken_lr: float = param(
        1.0, "learning rate of the weights that `start_from` gave, as a share of `lr`", low=0, high=1
    )
    scales: int | None = param(
        None,
        "train the first scales alone, which decide what an image shows and cost little; null for all scales",
        low=1,
    )
    lora: LoraConfig = field(default_factory=LoraConfig)
    label_drop: float = param(0.1, "share of the conditions that the null condition replaces", low=0, high=1)
    label_smoothing: float = param(0.0, "label smoothing of the cross-entropy", low=0, high=1)
    self_correction: float = param(
        0.0,
        "largest share of wrong codes in the inputs of an image, which finer scales learn to correct",
        low=0,
        high=1,
    )
    correction: str = param(
        "exchange",
        "which codes are wrong: exchange takes those of other images; flip takes other classes at random, "
        "with a share drawn for each scale (Infinity)",
        choices=("exchange", "flip"),
    )
    corrected_scales: int | None = param(
        None, "number of scales, from the first, that may have wrong codes; null for all", low=1
    )
    equal_scales: bool = param(
        False, "weigh the loss of a token by 1 / sqrt(tokens of its scale), as Infinity does"
    )
    attention: Slot = _attention()
    parallel: str = param(
        "ddp",
        "with torchrun: ddp, each process has all weights; fsdp, each process has a share of them",
        choices=("ddp", "fsdp"),
    )
    views: int = param(1, "number of augmented views of each image that are tokenized", low=1)
    eval_metrics: list[str] = param(
        [],
        "metrics of sets, such as fd, that each validation computes of samples; the folder best keeps the "
        "model that is best by the first one",
    )
    eval_feature: Slot = slot("feature", "elite0")
    eval_samples: int = param(
        256, "number of samples for `eval_metrics`, and of validation images they are compared with", low=4
    )


@dataclass(kw_only=True, slots=True)
class GeneratorTraining(StageConfig):
    """The second stage of a generator, such as a diffusion transformer on the tokenizer's latents."""

    label_drop: float = param(0.1, "share of the conditions that the null condition replaces", low=0, high=1)


@dataclass(kw_only=True, slots=True)
class Training:
    """The stages: the tokenizer, then a transformer or a generator."""

    tokenizer: TokenizerTraining = field(default_factory=TokenizerTraining)
    transformer: TransformerTraining = field(default_factory=TransformerTraining)
    generator: GeneratorTraining = field(default_factory=GeneratorTraining)


@dataclass(kw_only=True, slots=True)
class Config(ModelConfig):
    """A whole experiment: a model, its data and how both stages are trained."""

    dataset: Slot = slot("dataset", "emoji64")
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: Training = field(default_factory=Training)


@dataclass(kw_only=True, slots=True)
class EvalConfig(Config):
    """What an evaluation looks at: an experiment's data, with a feature."""

    feature: Slot = slot("feature", "elite0")
    metrics: list[str] = param(["fd", "kid"], "names of the metrics of sets of features")
