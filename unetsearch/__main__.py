"""`python -m unetsearch`."""

from unetsearch.cli import main

main()
