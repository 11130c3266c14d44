"""Draws docs/images/emoji64.png: an image of each class, a column for each group and a row for each style.

Run it with `python docs/emoji64/picture.py`. The seeds are 0 to 44, and none was chosen.
"""

from pathlib import Path

import vartk
from vartk.images import save_image, tile

PICTURE = Path(__file__).parents[1] / "images" / "emoji64.png"
STYLES = 5
"""Classes of a group; they follow each other."""

model = vartk.load("emoji64", device="cpu")
rows = [range(style, len(model.classes), STYLES) for style in range(STYLES)]
images = model.sample([label for row in rows for label in row], seed=0).images
save_image(tile(images, columns=len(rows[0])), PICTURE)
