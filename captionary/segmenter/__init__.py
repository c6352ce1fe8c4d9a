"""Picture + class names -> class map, with evidence."""
