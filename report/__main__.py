"""`python -m report` is the console command `report`."""

from .cli import main

main()
