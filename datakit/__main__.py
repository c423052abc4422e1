"""`python -m datakit` is the command line."""

from datakit.cli import main

main(prog_name="datakit")
