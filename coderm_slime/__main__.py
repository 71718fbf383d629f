"""`python -m coderm_slime` is the command `coderm`, for environments whose scripts are not on PATH."""

from coderm_slime.cli import main

main()
