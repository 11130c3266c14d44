"""`python -m vartk` is `vartk`: torchrun starts modules."""

import sys

from .cli.main import main

sys.exit(main())
