"""Ways to sample, side by side: the same images by each, how fast, in how much memory, and how close.

- `plan`: what is asked for, checked, and carried out
- `source`: where the models come from, trained or with random weights
- `ways`: the ways to sample, read from what is typed
- `sampling`: one batch, timed
- `comparison`: every way in turns, and the numbers of each
- `closeness`: codes and images beside those of the first way
- `files`: what is kept while a comparison runs, so that it can go on
- `report`, `plot`, `pictures`: how the result is shown
"""

from .comparison import Comparison
from .files import Kept
from .plan import Options, Plan
from .report import notes, protocol, tables, write_comparison
from .ways import Way, parse_ways

__all__ = [
    "Comparison",
    "Kept",
    "Options",
    "Plan",
    "Way",
    "notes",
    "parse_ways",
    "protocol",
    "tables",
    "write_comparison",
]
