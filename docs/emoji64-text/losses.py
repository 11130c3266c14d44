"""Prints the cross-entropy per code of models, on pictures that were kept from training.

Run it with `python docs/emoji64-text/losses.py MODEL ...`. Columns: of the 188 unseen combinations of emoji
and style the first 23 codes (five scales), the first 87 (six scales) and all; all of 192 pictures of new
emoji.
"""

import sys

import torch

import vartk
from vartk.components import plugins
from vartk.engine.data import Images

AT_ONCE = 32


def pictures(split: str, combinations: str, count: int) -> tuple[Images, list[int]]:
    """Return the images of a split, and the rows of some."""
    params = {"combinations": combinations}
    images = Images(plugins().registry.build("dataset", "emoji64", params, split=split), (64, 64))
    return images, torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count].tolist()


@torch.no_grad()
def losses(model: vartk.Model, images: Images, rows: list[int], caption: str) -> torch.Tensor:
    """Return the mean loss of each code of the sequence."""
    total = torch.zeros(model.schedule.total)
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        codes = model.encode(torch.stack([images[row] for row in part]))
        examples = [images.dataset[row] for row in part]
        short = caption == "short" and model.takes == "caption"
        labels = [each.others[0] if short else getattr(each, model.takes) for each in examples]
        total += model.tokenizer.space.loss(model.logits(labels, codes), torch.cat(codes, dim=1)).sum(0)
    return total / len(rows)


UNSEEN, NEW = pictures("train", "unseen", 188), pictures("validation", "all", 192)
for name in sys.argv[1:]:
    model = vartk.load(name, device="cpu")
    unseen, new = losses(model, *UNSEEN, "short"), losses(model, *NEW, "long")
    numbers = [unseen[:23].mean(), unseen[:87].mean(), unseen.mean(), new.mean()]
    print(name, *(f"{number:.3f}" for number in numbers), flush=True)
