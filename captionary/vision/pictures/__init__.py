"""Reading pictures and label maps, resizing them, thumbnails."""
