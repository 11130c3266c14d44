"""`vartk bench attention`: attention backends over workloads.

`workload` reads which calls are measured, from `workloads/`; `measure` checks and times them; `peak` is what
the machine can do at most; `report` and `plot` show the result.
"""
