"""`eoq validate`: the model against RTL, golden, synthesis and published figures, row by row."""
