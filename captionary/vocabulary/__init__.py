"""The dictionary: a store of pictures, regions and prototypes, and retrieval from it."""
