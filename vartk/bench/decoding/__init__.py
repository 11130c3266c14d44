"""`vartk bench decode`: decoding, whole and in tiles. `measure` times it, `report` shows the result."""
