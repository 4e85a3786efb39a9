"""What made this file: the recipe of a picture and its AI-content labels, carried in an XMP packet (ISO 16684-1).

- Iptc4xmpExt:DigitalSourceType, AISystemUsed and AISystemVersionUsed: IPTC Photo Metadata Standard 2025.1.
- TC260:AIGC, on request: the implicit label of GB 45438-2025, placed as TC260-PG-20258A shows.
- impasto:Recipe: our own, as JSON.
"""

import hashlib
import json
import os
import platform
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from impasto._version import __version__
from impasto.errors import PictureError, warn

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NAMESPACES = {
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
    "impasto": "urn:impasto:1.0/",
}
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
REPAINTED = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"  # somebody's picture had a part in it
XMP = "xmp"  # files of tensors and ONNX files have the packet in their metadata, so named
LARGEST = 8 << 20  # bytes of a packet that is read: of ours, some thousands
DRAWN = SOURCE_TYPES + "trainedAlgorithmicMedia"  # by a model alone
ENHANCED = SOURCE_TYPES + "algorithmicallyEnhanced"  # somebody's picture, by arithmetic and no network


def sha256(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file, in hexadecimal.

    Raises:
        PictureError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}") from error


def source(path: str | os.PathLike[str]) -> dict[str, str]:
    """Describe an input by name and hash. Folders are left out: where a file lay is its owner's affair."""
    return {"name": Path(path).name, "sha256": sha256(path)}


def unnamed(data: bytes) -> dict[str, str]:
    """Describe an input that came from memory: it has no name, and the hash of its values."""
    return {"name": "", "sha256": hashlib.sha256(data).hexdigest()}


def make_recipe(
    content: Mapping[str, str],
    styles: Sequence[Mapping[str, str]],
    settings: Mapping[str, Any],
    weights: Mapping[str, str],
    masks: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """Join what made a picture. No time and no path is in it, so the same run gives the same recipe.

    Args:
        content: what `source` says of the content picture.
        styles: the same of each style picture.
        settings: every option that changes the result, as JSON values.
        weights: SHA-256 of each network's weights, by name.
        masks: what `source` says of each mask, by its role.
    """
    return {
        "impasto": __version__,
        "content": dict(content),
        "styles": [dict(style) for style in styles],
        "masks": {role: dict(mask) for role, mask in (masks or {}).items()},
        "settings": dict(settings),
        "versions": _versions(),
        "weights": dict(weights),
    }


def drawn_recipe(command: str, settings: Mapping[str, Any], weights: Mapping[str, str]) -> dict[str, Any]:
    """The recipe of a picture that a model drew, with `settings` and `weights` as in `make_recipe`.

    Args:
        command: "sample", "interpolate", ...
    """
    return {
        "impasto": __version__,
        "command": command,
        "settings": dict(settings),
        "versions": _versions(),
        "weights": dict(weights),
    }


def enhanced_recipe(
    command: str, settings: Mapping[str, Any], inputs: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """The recipe of somebody's picture that arithmetic changed, and no network.

    Args:
        inputs: what `source` says of each, by its role.
    """
    return {
        "impasto": __version__,
        "command": command,
        "inputs": {role: dict(given) for role, given in inputs.items()},
        "settings": dict(settings),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": metadata.version("torch")}


def packet(recipe: Mapping[str, Any], *, label_cn: bool = False) -> bytes:
    """Write recipe and labels as an XMP packet, UTF-8.

    Args:
        recipe: as `make_recipe` gives it.
        label_cn: add the label of GB 45438-2025.
    """
    # ASCII, sorted and without NaN: the same recipe gives the same bytes, and no name can break the XML.
    recipe_json = json.dumps(recipe, sort_keys=True, allow_nan=False)
    properties = {"Iptc4xmpExt:DigitalSourceType": ENHANCED, "impasto:Recipe": recipe_json}
    by_networks = "inputs" not in recipe  # as `enhanced_recipe` has them
    if by_networks:
        properties |= {
            "Iptc4xmpExt:DigitalSourceType": REPAINTED if "content" in recipe else DRAWN,
            "Iptc4xmpExt:AISystemUsed": "Impasto",
            "Iptc4xmpExt:AISystemVersionUsed": __version__,
        }
    if label_cn and by_networks:
        label = {
            "Label": "1",  # certainly generated or synthesised; 2 is possibly, 3 is suspected
            "ContentProducer": "Impasto",
            "ProduceID": hashlib.sha256(recipe_json.encode()).hexdigest(),
            "ReservedCode1": "",
            "ContentPropagator": "",  # for whoever publishes the picture to fill in
            "PropagateID": "",
            "ReservedCode2": "",
        }
        properties["TC260:AIGC"] = json.dumps(label)
    namespaces = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    elements = "".join(f"\n   <{name}>{escape(value)}</{name}>" for name, value in properties.items())
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about=""{namespaces}>{elements}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()


def of_figure(recipe: Mapping[str, Any]) -> dict[str, str]:
    """The packet as what matplotlib calls the metadata of a PNG file."""
    return {"XML:com.adobe.xmp": packet(recipe).decode()}


def parse(xmp: bytes) -> dict[str, Any]:
    """Find recipe and labels in an XMP packet, from anyone: what is missing, broken or hostile counts as absent.

    Returns:
        {"recipe": dict or None, "labels": {"DigitalSourceType": ..., "AISystemUsed": ..., "AISystemVersionUsed": ...,
        "AIGC": dict}}, each label only where the packet has it.
    """
    properties: dict[str, str] = {}  # "{namespace}name": value
    for description in _root(xmp).iter(f"{{{RDF}}}Description"):
        properties |= description.attrib  # a simple property may be an attribute
        properties |= {child.tag: child.get(f"{{{RDF}}}resource") or child.text or "" for child in description}

    labels: dict[str, Any] = {}
    for name in ("DigitalSourceType", "AISystemUsed", "AISystemVersionUsed"):
        value = properties.get(f"{{{NAMESPACES['Iptc4xmpExt']}}}{name}")
        if value:
            labels[name] = value
    label_cn = _json_object(properties.get(f"{{{NAMESPACES['TC260']}}}AIGC"))
    if label_cn:
        labels["AIGC"] = label_cn
    return {"recipe": _json_object(properties.get(f"{{{NAMESPACES['impasto']}}}Recipe")), "labels": labels}


def _root(xmp: bytes) -> ET.Element:
    if len(xmp) > LARGEST:
        warn(f"metadata of {len(xmp) / 1e6:.0f} MB are not read")
        return ET.Element("refused")
    try:
        text = xmp.decode("utf-8-sig").strip("\0 \r\n\t")
        # XMP has no document type; one is there to declare entities that expand without end, or read files.
        return ET.Element("refused") if "<!DOCTYPE" in text else ET.fromstring(text)
    except (ValueError, ET.ParseError):
        return ET.Element("broken")


def _json_object(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
