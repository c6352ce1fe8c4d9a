"""Kinds: the nouns of a dictionary that are kinds of a class, as man and woman are of person."""
