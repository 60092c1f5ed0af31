"""`python -m logtrick`: the command line."""

from logtrick.commands.cli import main

if __name__ == "__main__":
    main()
