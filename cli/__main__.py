"""`python -m cli` is `quietpager`."""

from cli import main

main()
