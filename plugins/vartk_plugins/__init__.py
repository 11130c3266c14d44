"""vartk's built-in components, one small package each; none of them imports another."""
