"""`vartk bench sample`: sampling, stage by stage. `measure` times it, `report` shows the result."""
