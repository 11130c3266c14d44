"""The transformer of Infinity, on the blocks of VAR's."""
