"""The version of Impasto."""

__version__ = "0.2.0"
