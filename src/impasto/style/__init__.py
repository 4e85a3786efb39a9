"""Transfer of style onto pictures, clips and sounds, and textures. The entry for pictures is `stylize.py`."""
