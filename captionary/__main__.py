"""`captionary`, and `python -m captionary`."""

from captionary.cli.main import main

if __name__ == "__main__":
    main()
