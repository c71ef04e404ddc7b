"""`python -m eoq` is `eoq`."""

from eoq.cli import main

main()
