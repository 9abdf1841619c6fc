"""``python -m neurodeploy``: the command line."""

from neurodeploy.cli import main

if __name__ == "__main__":
    main()
