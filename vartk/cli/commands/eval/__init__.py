"""vartk eval: how good images are, and what a model has memorised.

- `own`: a model on its own data
- `against`: samples or finished images against a reference
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vartk_registry import VartkError

from ...arguments import add_data, add_device, add_json, add_overrides, examples, whole_number
from . import against, own


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Measure a model, or finished images, against real images. Without --reference a model is compared\n"
        "with its own dataset: reconstructions, samples and near copies. With --reference, samples or\n"
        "finished images are compared with any set of images."
    )
    parser.add_argument(
        "images",
        metavar="MODEL_OR_IMAGES",
        help="a model folder, a run, or a published name; with --reference also a folder or an .npz file of "
        "finished images",
    )
    add_overrides(
        parser, "guidance.scale=3 feature=lpips feature.net=alex dataset=folder dataset.path=photos"
    )
    add_data(parser)
    parser.add_argument(
        "--reference",
        metavar="R",
        help="what to compare with: a folder of images, an .npz file in the ADM layout, saved statistics, or "
        "train or validation of the dataset",
    )
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="adm-50k: the parts of published FIDs on ImageNet, that is 50 samples per class, feature "
        "inception, and the reference of the ADM suite; what you type as well departs from it",
    )
    parser.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="KEY=A,B",
        help="with --reference: a setting of sampling and its values; you can repeat the option, and every "
        "combination is evaluated",
    )
    parser.add_argument(
        "--save-reference",
        type=Path,
        metavar="FILE.npz",
        help="write the statistics of the reference, which --reference reads",
    )
    parser.add_argument(
        "--samples",
        type=Path,
        metavar="DIR",
        help="keep the samples in this folder; the same command continues a run that was stopped",
    )
    parser.add_argument(
        "--count",
        type=whole_number(4, 10**6),
        metavar="N",
        help="number of samples (default: 1000, or the protocol's)",
    )
    parser.add_argument(
        "--references",
        type=whole_number(4, 10**7),
        default=10_000,
        metavar="N",
        help="largest number of training images to compare with, drawn at random; copies of other images "
        "are not found (default: 10000)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="S",
        help="seed of the first sample (each further sample adds 1) and of the draws of images (default: 0)",
    )
    parser.add_argument(
        "--tokenizer-only",
        action="store_true",
        help="evaluate only the tokenizer of a model: reconstructions by the number of scales, and codes",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder for the report and its picture")
    add_device(parser)
    add_json(parser)
    examples(
        parser,
        "vartk eval runs/transformer --out evaluation",
        "vartk eval runs/transformer guidance.scale=3 --count 500 --json",
        "vartk eval runs/tokenizer --data demo",
        "vartk eval var-d16 --tokenizer-only feature=inception dataset=folder dataset.path=imagenet",
        "vartk eval runs/transformer --reference validation --count 2000 --samples samples",
        "vartk eval var-d16 --protocol adm-50k --device cuda --samples d16 --out d16-fid",
        "vartk eval runs/transformer --reference validation metrics=[fd,is] --over guidance.scale=1,1.5,2",
        "vartk eval samples.npz --reference photos --save-reference photos.npz",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the tables, and write the report."""
    from ....hub import local_model

    finished = local_model(arguments.images) is None and against.finished(Path(arguments.images))
    if arguments.tokenizer_only and (finished or arguments.reference or arguments.protocol):
        raise VartkError(
            "--tokenizer-only compares reconstructions with the images of the dataset; drop --reference and "
            "--protocol, and name a model"
        )
    if arguments.reference is not None or arguments.protocol is not None:
        return against.run(arguments, finished=finished)
    for option, given in (("--save-reference", arguments.save_reference), ("--over", arguments.over)):
        if given:
            raise VartkError(f"{option} needs --reference or --protocol")
    if finished:
        raise VartkError(
            f"{arguments.images} holds images; name what to compare them with: --reference FOLDER, FILE.npz, "
            "train or validation"
        )
    return own.run(arguments)
