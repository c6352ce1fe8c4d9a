"""Training of the noun tagger that comes with the program."""
