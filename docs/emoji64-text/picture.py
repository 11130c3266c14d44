"""Draws docs/images/emoji64-text.png: a column for each subject and a row for each style, in words.

Run it with `python docs/emoji64-text/picture.py`. The subjects were fixed before the first picture; the seeds
are 0 to 39, and none was chosen.
"""

import sys
from pathlib import Path

import vartk
from vartk.images import save_image, tile

PICTURE = Path(__file__).parents[1] / "images" / "emoji64-text.png"
SUBJECTS = (
    "a smiling face",
    "a red apple",
    "a cat",
    "a house",
    "a blue car",
    "a green tree",
    "a red heart",
    "a basketball",
)
STYLES = ("3d", "gradient", "flat", "cartoon", "blob")

model = vartk.load(sys.argv[1] if sys.argv[1:] else "emoji64-text", device="cpu")
prompts = [f"{subject}, {style} style" for style in STYLES for subject in SUBJECTS]
images = model.sample(prompts, seed=0).images
save_image(tile(images, columns=len(SUBJECTS)), Path(sys.argv[2]) if sys.argv[2:] else PICTURE)
