"""The pictogram world: scenes of small pictures on grounds, with exact masks and captions."""
