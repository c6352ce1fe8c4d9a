"""Files: writing them whole, finding members of tar shards, what pictures are called."""
