"""Data sets: pictures and their classes, by name or from a folder."""
