"""The published code of VAR and vartk, run in turns: what `against_original.py` measures.

`original` and `toolkit` run one code each, `size` says on which model, `turns` measures, `report` shows.
"""
