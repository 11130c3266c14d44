"""vartk compare: ways to sample, or whole systems, side by side."""

from __future__ import annotations

import argparse

from ...arguments import (
    add_classes,
    add_data,
    add_device,
    add_json,
    add_out,
    add_overrides,
    add_prompts,
    examples,
    whole_number,
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Sample the same images in several ways, which take turns batch by batch, and compare speed, memory\n"
        "and images with those of the first way. The same command continues a comparison that was stopped.\n"
        "A preset or a YAML file gets random weights, which is enough to measure time and memory at any\n"
        "size, with settings such as image_size=512.\n"
        "With --system, whole models are compared instead: a next-token model, a diffusion transformer."
    )
    parser.add_argument(
        "model",
        metavar="MODEL_OR_CONFIG",
        help="a model folder, a run or a model's name; a preset or a YAML file",
    )
    add_overrides(parser, "guidance.scale=3 preset=fast feature=lpips dataset=folder dataset.path=photos")
    parser.add_argument(
        "--published",
        action="store_true",
        help="with the name of a preset: load its published weights instead of random ones",
    )
    parser.add_argument(
        "--cache",
        metavar="A,B",
        help="cache strategies, one way for each: names, [chains,of,names], or {name: NAME, KEY: VALUE}; the "
        "others are compared with the first (default: full)",
    )
    parser.add_argument(
        "--way",
        dest="ways",
        action="append",
        default=[],
        metavar="'NAME: key=value ...'",
        help="one more way: sampling settings that override those of the first way; with refiner=MODEL "
        "draft=N this model draws the scales after the first N (CoDe); you can repeat the option",
    )
    parser.add_argument(
        "--system",
        dest="systems",
        action="append",
        default=[],
        metavar="'MODEL key=value ...'",
        help="another model with its sampling settings, which is compared with MODEL as a whole: speed, "
        "memory and distances from real images; you can repeat the option",
    )
    add_data(parser)
    add_classes(parser, "by default as often as in the training images, or all classes")
    add_prompts(parser)
    parser.add_argument(
        "--count", type=whole_number(1, 10**6), default=64, metavar="N", help="images per way (default: 64)"
    )
    parser.add_argument("--batch", type=whole_number(1, 10**6), metavar="B", help="images at once")
    parser.add_argument(
        "--references",
        type=whole_number(4, 10**7),
        default=10_000,
        metavar="N",
        help="largest number of training images for FD and KID, drawn at random (default: 10000)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="S",
        help="seed of the first image (each further image adds 1) and of the draws of images (default: 0)",
    )
    add_out(parser, "the folder for the report, its pictures and the images")
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk compare runs/transformer --cache full,window,ams_kv --count 64 --out comparison",
        "vartk compare runs/transformer --cache 'full,[ams_kv,fastvar]' guidance.scale=2 --out chains",
        "vartk compare runs/transformer --way 'half: precision=bf16' --way 'fast: preset=fast' --out half",
        "vartk compare runs/large --way 'code: refiner=runs/small draft=5 cache=ams_kv' --out both",
        "vartk compare runs/transformer --system 'runs/dit generator.steps=50' --out systems",
        "vartk compare var-d16 image_size=512 schedule=var-512 --cache full,fastvar --count 2 --out large",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare ways to sample with one model, or whole systems."""
    from . import systems, ways

    return systems.run(arguments) if arguments.systems else ways.run(arguments)
