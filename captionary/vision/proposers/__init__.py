"""Region proposers: a picture to candidate segments, the same ones every time."""
