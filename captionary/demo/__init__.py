"""The whole story on drawn scenes: captions teach a dictionary, which then segments others."""
