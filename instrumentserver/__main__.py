"""``python -m instrumentserver``: the command line."""

from instrumentserver.cli import main

if __name__ == "__main__":
    main()
