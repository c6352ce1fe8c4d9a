"""Looks: a vision model beside CLIP, whose vectors tell which regions look alike."""
