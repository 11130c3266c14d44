"""Images against a reference, from a model or from files: the numbers that papers report.

- `reference`: what images are compared with: images, or stored statistics of them
- `protocols`: what all parts must be to be compared with published numbers
- `remarks`: what is unusual about the images
- `source`: the images: files, or samples of a model, whose settings may be varied
- `plan`: what is asked for, checked, and carried out
- `report`, `sweep`: the numbers as a table and as a folder, of one set of images and of several
"""

from .plan import Options, Plan
from .reference import Reference
from .report import report, table, verdict, write_report
from .sweep import sweep_table, write_sweep

__all__ = [
    "Options",
    "Plan",
    "Reference",
    "report",
    "sweep_table",
    "table",
    "verdict",
    "write_report",
    "write_sweep",
]
