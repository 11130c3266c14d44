"""Benchmarks of vartk's own code, a folder each: `attention`, `flops`, `sampling`, `training`.

They share `model` (what is measured), `timing`, `memory`, `report` (tables and Markdown) and `svg`.
"""
