"""`python -m report` is the console command `report`."""

from .command.cli import main

main()
