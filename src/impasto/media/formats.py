"""What a file is, by its first bytes and its name: which pictures are read, and what to call everything else."""

from pathlib import Path

MAX_PIXELS = 200_000_000  # of a picture; larger ones are refused
PICTURES = {  # extensions of pictures that can be read; what counts is what is in the file
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    ".webp": "WebP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".gif": "GIF",
    ".bmp": "BMP",
    ".avif": "AVIF",
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    ".jxl": "JPEG XL",
    **dict.fromkeys((".jp2", ".j2k"), "JPEG 2000"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    ".tga": "TGA",
}
READ = ", ".join(dict.fromkeys(PICTURES.values()))
RAW = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw", ".x3f")
RAW_MARKS = (
    *((0, mark) for mark in (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM")),
    (6, b"HEAPCCDR"),
    (8, b"CR\x02\0"),
)

# (offset, bytes there, what it is), the first that fits
SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WebP"),
    *((offset, mark, "a camera's raw picture") for offset, mark in RAW_MARKS),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (4, b"ftypavi", "AVIF"),
    *((4, b"ftyp" + brand, "HEIC") for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL \r\n\x87\n", "JPEG XL"),
    (4, b"jP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    *((0, b"P" + kind, "PPM") for kind in (b"1", b"2", b"3", b"4", b"5", b"6")),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript drawing"),
    (0, b"gimp xcf", "a GIMP document"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"#?R", "a Radiance HDR picture"),
    (0, b"P7", "a PAM picture"),
    (0, b"Pf", "a PFM picture of floating-point numbers"),
    (0, b"PF", "a PFM picture of floating-point numbers"),
    (0, b"DDS ", "a DDS texture"),
    (0, b"qoif", "a QOI picture"),
    (0, b"\0\0\1\0", "an icon"),
    (8, b"AVI ", "an AVI clip"),
    (8, b"WAVE", "a WAV sound"),
    (4, b"ftypM4A", "an M4A sound"),
    (4, b"ftypcrx", "a camera's raw picture"),
    (4, b"ftyp", "an MP4 or MOV clip"),
    (4, b"moov", "a MOV clip"),
    (0, b"\x1aE\xdf\xa3", "a WebM or MKV clip"),
    (0, b"FLV", "an FLV clip"),
    (0, b"OggS", "an OGG sound"),
    (0, b"fLaC", "a FLAC sound"),
    (0, b"ID3", "an MP3 sound"),
    (0, b"PK\3\4", "a ZIP archive, or a document that is one inside"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
)


def what_it_is(path: Path) -> str:
    """What the file holds: a value of PICTURES, some other kind in words, or "" where nothing tells.

    Raises:
        OSError: it cannot be read.
    """
    if path.suffix.lower() in RAW:  # most are TIFF inside, with a small preview as the first picture
        return "a camera's raw picture"
    with path.open("rb") as file:
        start = file.read(512)
    if start[4:8] == b"ftyp" and b"avif" in start[8 : int.from_bytes(start[:4])]:  # perhaps not as the first brand
        return "AVIF"
    for offset, mark, kind in SIGNATURES:
        if start[offset : offset + len(mark)] == mark:
            return kind
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if text and all(byte >= 32 or byte in b"\t\r\n\f" for byte in start):
        return "a text"
    return "TGA" if path.suffix.lower() == ".tga" else ""  # which has no mark of its own


def why_not(path: Path, wanted: str) -> str:
    """Why no decoder takes a file that should be `wanted`, "a clip" or "a sound": it is something else, or damaged."""
    kind = what_it_is(path)
    if not kind:
        return f"it is damaged, cut off, or not {wanted}"
    if kind.endswith(wanted.split()[-1]):
        return "it is damaged or cut off"
    return f"it is {f'a {kind} picture' if kind in READ else kind}, not {wanted}"
