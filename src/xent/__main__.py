"""`python -m xent`, for where the `xent` command is not on the path."""

from xent.cli import main

if __name__ == "__main__":
    main()
