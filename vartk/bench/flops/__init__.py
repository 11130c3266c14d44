"""`vartk bench flops`: parameters and floating-point operations of a model.

`count` counts them, `report` shows the result.
"""
