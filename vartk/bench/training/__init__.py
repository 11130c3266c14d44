"""`vartk bench train`: a training step of the transformer, in rows that compute the same.

`rows` has the rows (and no torch, for the command's help), `configurations` what each is run with; `measure`
checks and times them, `report` shows the result.
"""
