"""Co-simulation: rtl held against golden (bits) and hwmodel (cycles)."""
