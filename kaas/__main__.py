"""`python -m kaas`: the command, for where its script is not on PATH."""

from kaas.cli.entry import main

main()
