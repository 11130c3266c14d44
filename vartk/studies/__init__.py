"""Studies: claims about models, measured by one command that goes on where it was stopped.

- `study`: what a study is, what it can measure, and the built-in ones
- `training`: trains its systems; those with equal tokenizers share one
- `measures`: takes each measure
- `tokenizers`: the measure of tokenizers
- `carrying`: carries a study out in a folder
- `report`: its numbers as tables, a page and plots
"""

from .carrying import carry_out
from .report import tables, write_study
from .study import Study, System, built_in, read_study

__all__ = ["Study", "System", "built_in", "carry_out", "read_study", "tables", "write_study"]
