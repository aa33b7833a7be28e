"""``python -m bareboat``: the same as the ``bareboat`` command."""

from bareboat.cli.main import main

if __name__ == "__main__":
    main()
