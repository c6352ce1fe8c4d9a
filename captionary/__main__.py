"""`captionary`, and `python -m captionary`."""

from captionary.commands import main

if __name__ == "__main__":
    main()
