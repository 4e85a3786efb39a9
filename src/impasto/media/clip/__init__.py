"""Reading and writing clips: video files and folders of numbered frames, frame by frame.

Memory does not grow with the length of a clip, neither when reading nor when writing.
"""

from impasto.media.clip.info import Frame, Info
from impasto.media.clip.reading import Clip, read
from impasto.media.clip.tags import read_xmp
from impasto.media.clip.writing import FORMATS, check_writable, write

__all__ = ["FORMATS", "Clip", "Frame", "Info", "check_writable", "read", "read_xmp", "write"]
