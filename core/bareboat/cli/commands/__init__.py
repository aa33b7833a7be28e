"""Subcommands. Each module has ``add(subparsers)`` and a ``run(arguments)`` that returns the exit code."""
