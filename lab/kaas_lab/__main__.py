"""`python -m kaas_lab`: the lab without the `kaas` command."""

from kaas_lab.cli import main

main()
