"""The `eoq` command and the small public API."""
