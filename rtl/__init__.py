"""The hardware: MAC array, quantise/update unit and core, in Amaranth."""
