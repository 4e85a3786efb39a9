"""Recipes and labels: found by walking the bytes of each format by its specification, and read back."""

import hashlib
import io
import json
import struct
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from PIL import Image

from impasto._version import __version__
from impasto.errors import PictureError
from impasto.media.inspect import inspect
from impasto.media.picture import Picture
from impasto.provenance import make_recipe, packet, parse, sha256, source

IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
TC260 = "{http://www.tc260.org.cn/ns/AIGC/1.0/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
EXTENSIONS = [".png", ".jpg", ".webp", ".tif"]
NOTHING: dict[str, Any] = {"recipe": None, "labels": {}}


@pytest.fixture
def recipe() -> dict[str, Any]:
    return make_recipe(
        content={"name": "cat.jpg", "sha256": "1" * 64},
        styles=[{"name": "waves.png", "sha256": "2" * 64}],
        settings={"quality": "fine", "seed": 7, "strength": 0.5},
        weights={"compact": "3" * 64},
        masks={"protect": {"name": "face.png", "sha256": "4" * 64}},
    )


def saved(path: Path, recipe: dict[str, Any] | None, **options: Any) -> Path:
    Picture(torch.rand(1, 3, 8, 8), recipe=recipe).save(path, **options)
    return path


# Where each format keeps its XMP packet, by the specifications


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size]) == (zlib.crc32(body),)
        chunks.append((body[:4], body[4:]))
        at += 12 + size
    return chunks


def xmp_in_png(data: bytes) -> list[bytes]:
    chunks = png_chunks(data)
    kinds = [kind for kind, _ in chunks]
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
    found = []
    for index, (kind, body) in enumerate(chunks):
        if kind == b"iTXt":
            assert index < kinds.index(b"IDAT")
            keyword, rest = body.split(b"\0", 1)
            assert keyword == b"XML:com.adobe.xmp"
            assert rest[:4] == b"\0\0\0\0"  # not compressed, no language, no translated keyword
            found.append(rest[4:])
    return found


def xmp_in_jpeg(data: bytes) -> list[bytes]:
    assert data[:2] == b"\xff\xd8"
    found, at = [], 2
    while data[at : at + 2] != b"\xff\xda":  # start of scan
        assert data[at] == 0xFF
        (size,) = struct.unpack(">H", data[at + 2 : at + 4])
        body = data[at + 4 : at + 2 + size]
        if data[at + 1] == 0xE1:
            name, rest = body.split(b"\0", 1)
            assert name == b"http://ns.adobe.com/xap/1.0/"
            found.append(rest)
        at += 2 + size
    return found


def xmp_in_webp(data: bytes) -> list[bytes]:
    assert data[:4] == b"RIFF"
    assert data[8:12] == b"WEBP"
    chunks, at = {}, 12
    while at < len(data):
        (size,) = struct.unpack("<I", data[at + 4 : at + 8])
        chunks[data[at : at + 4]] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    if b"XMP " in chunks:
        assert chunks[b"VP8X"][0] & 4  # the flag that says so
        return [chunks[b"XMP "]]
    return []


def xmp_in_tiff(data: bytes) -> list[bytes]:
    assert data[:4] == b"II*\0"
    (at,) = struct.unpack("<I", data[4:8])
    (entries,) = struct.unpack("<H", data[at : at + 2])
    found = []
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        tag, kind, count, offset = struct.unpack("<HHII", data[entry : entry + 12])
        if tag == 700:
            assert kind == 1  # BYTE
            found.append(data[offset : offset + count])
    return found


WALKS: dict[str, Callable[[bytes], list[bytes]]] = {
    ".png": xmp_in_png,
    ".jpg": xmp_in_jpeg,
    ".webp": xmp_in_webp,
    ".tif": xmp_in_tiff,
}


def properties(xmp: bytes) -> dict[str, str]:
    (description,) = ET.fromstring(xmp).iter(f"{RDF}Description")
    return {child.tag: child.text or "" for child in description}


@pytest.mark.parametrize(
    ("extension", "bits"), [(".png", 8), (".png", 16), (".jpg", 8), (".webp", 8), (".tif", 8), (".tif", 16)]
)
def test_every_format_carries_the_labels_where_tools_look(
    tmp_path: Path, recipe: dict[str, Any], extension: str, bits: int
) -> None:
    path = saved(tmp_path / f"out{extension}", recipe, bits=bits)
    (xmp,) = WALKS[extension](path.read_bytes())
    found = properties(xmp)
    assert found[f"{IPTC}DigitalSourceType"] == COMPOSITE
    assert found[f"{IPTC}AISystemUsed"] == "Impasto"
    assert found[f"{IPTC}AISystemVersionUsed"] == __version__
    assert f"{TC260}AIGC" not in found
    assert inspect(path) == {
        "recipe": recipe,
        "labels": {
            "DigitalSourceType": COMPOSITE,
            "AISystemUsed": "Impasto",
            "AISystemVersionUsed": __version__,
        },
    }


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_the_pixels_are_the_same_with_and_without_metadata(
    tmp_path: Path, recipe: dict[str, Any], extension: str
) -> None:
    made = Picture(torch.rand(1, 3, 8, 8), recipe=recipe)
    made.save(tmp_path / f"with{extension}")
    made.save(tmp_path / f"without{extension}", metadata=False)
    with Image.open(tmp_path / f"with{extension}") as one, Image.open(tmp_path / f"without{extension}") as other:
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_metadata_can_be_left_out(tmp_path: Path, recipe: dict[str, Any], extension: str) -> None:
    path = saved(tmp_path / f"out{extension}", recipe, metadata=False, label_cn=True)
    assert WALKS[extension](path.read_bytes()) == []
    assert b"mpasto" not in path.read_bytes()
    assert inspect(path) == NOTHING


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_picture_that_impasto_did_not_make_is_not_labelled(tmp_path: Path, extension: str) -> None:
    path = saved(tmp_path / f"out{extension}", None, label_cn=True)
    assert WALKS[extension](path.read_bytes()) == []
    assert inspect(path) == NOTHING


# The Chinese label


def test_the_chinese_label_has_the_fields_of_the_standard(tmp_path: Path, recipe: dict[str, Any]) -> None:
    path = saved(tmp_path / "out.png", recipe, label_cn=True)
    (xmp,) = xmp_in_png(path.read_bytes())
    label = json.loads(properties(xmp)[f"{TC260}AIGC"])
    assert list(label) == [
        "Label",
        "ContentProducer",
        "ProduceID",
        "ReservedCode1",
        "ContentPropagator",
        "PropagateID",
        "ReservedCode2",
    ]
    assert label["Label"] == "1"
    assert label["ContentProducer"] == "Impasto"
    assert all(isinstance(value, str) for value in label.values())
    assert inspect(path)["labels"]["AIGC"] == label


def test_the_produce_id_is_that_of_the_recipe(recipe: dict[str, Any]) -> None:
    def produce_id(recipe: dict[str, Any]) -> str:
        return parse(packet(recipe, label_cn=True))["labels"]["AIGC"]["ProduceID"]

    assert produce_id(recipe) == produce_id(json.loads(json.dumps(recipe)))
    assert len(produce_id(recipe)) == 64
    assert produce_id(recipe) != produce_id(recipe | {"settings": {"seed": 8}})


# The recipe


def test_sha256_is_that_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, B.1
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    assert sha256(tmp_path / "large") == hashlib.sha256(bytes(3_000_000)).hexdigest()


@pytest.mark.parametrize("name", ["", "no.png"])
def test_a_source_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(PictureError) as caught:
        source(tmp_path / name)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_source_keeps_its_folder_to_itself(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    assert source(tmp_path / "cat.jpg") == {"name": "cat.jpg", "sha256": hashlib.sha256(b"cat").hexdigest()}


def test_a_recipe_says_what_made_the_picture(recipe: dict[str, Any]) -> None:
    assert recipe["impasto"] == __version__
    assert recipe["content"]["name"] == "cat.jpg"
    assert recipe["styles"] == [{"name": "waves.png", "sha256": "2" * 64}]
    assert recipe["masks"]["protect"]["name"] == "face.png"
    assert recipe["settings"]["seed"] == 7
    assert recipe["weights"] == {"compact": "3" * 64}
    assert recipe["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert set(recipe) == {"impasto", "content", "styles", "masks", "settings", "versions", "weights"}


def test_the_order_of_settings_does_not_change_the_packet(recipe: dict[str, Any]) -> None:
    turned = dict(reversed(recipe.items()))
    assert packet(recipe, label_cn=True) == packet(turned, label_cn=True)


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(
    "name", ["</rdf:RDF>&amp;\"'<!-- ]]> -->", "écluse 日本 🎨", "a\nb\x00\x1b\ufffe", "\udcff.png"]
)
def test_a_hostile_name_comes_back_as_it_was(tmp_path: Path, recipe: dict[str, Any], extension: str, name: str) -> None:
    recipe["content"]["name"] = name
    assert inspect(saved(tmp_path / f"out{extension}", recipe))["recipe"] == recipe


def test_a_recipe_too_long_for_a_jpeg_is_refused_there_alone(tmp_path: Path, recipe: dict[str, Any]) -> None:
    recipe["settings"]["note"] = "x" * 70_000
    with pytest.raises(PictureError, match=r"too long for a JPEG; use \.png"):
        saved(tmp_path / "out.jpg", recipe)
    assert not list(tmp_path.iterdir())
    assert inspect(saved(tmp_path / "out.png", recipe))["recipe"] == recipe


def test_the_longest_packet_a_jpeg_can_hold_is_written(tmp_path: Path, recipe: dict[str, Any]) -> None:
    recipe["settings"]["note"] = ""
    recipe["settings"]["note"] = "x" * (65_504 - len(packet(recipe)))
    assert inspect(saved(tmp_path / "out.jpg", recipe))["recipe"] == recipe
    recipe["settings"]["note"] += "x"
    with pytest.raises(PictureError):
        saved(tmp_path / "out.jpg", recipe)


# Packets of others


def stranger(description: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f"{description}</rdf:RDF></x:xmpmeta>"
    ).encode()


@pytest.mark.parametrize(
    "description",
    [
        '<rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:DigitalSourceType="urn:x"/>',
        '<rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        "<e:DigitalSourceType>urn:x</e:DigitalSourceType></rdf:Description>",
        '<rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        '<e:DigitalSourceType rdf:resource="urn:x"/></rdf:Description>',
        '<rdf:Description/><rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'e:DigitalSourceType="urn:x"/>',
    ],
    ids=["attribute", "element", "resource", "second description"],
)
def test_the_label_of_another_tool_is_read(description: str) -> None:
    assert parse(stranger(description)) == {"recipe": None, "labels": {"DigitalSourceType": "urn:x"}}
    assert parse(stranger(description) + b"\n" * 2000 + b"\0") == parse(stranger(description))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_picture_without_labels_has_none(tmp_path: Path, file_format: str) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "plain", file_format)
    assert inspect(tmp_path / "plain") == NOTHING


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
LABEL = '<rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:AISystemUsed="{}"/>'


@pytest.mark.parametrize(
    "xmp",
    [
        b"",
        b"\0\0",
        b"not XML",
        b"<x:xmpmeta",
        b"\xff\xfe\xfa\x80",
        b'<?xml version="1.0" encoding="klingon"?><a/>',
        BOMB + stranger(LABEL.format("&b;")),
        b"<!DOCTYPE x>" + stranger(LABEL.format("plain")),
        b'<?xml version="1.0"?>\n<!DOCTYPE x SYSTEM "file:///etc/passwd">' + stranger(LABEL.format("plain")),
        (BOMB.decode() + stranger(LABEL.format("&b;")).decode()).encode("utf-16"),
        stranger(LABEL.format("&undeclared;")),
        b"<a>" * 100_000,
        b"<a>" * 100_000 + b"</a>" * 100_000,
        stranger('<rdf:Description xmlns:i="urn:impasto:1.0/" i:Recipe="[1, 2]"/>'),
        stranger('<rdf:Description xmlns:i="urn:impasto:1.0/" i:Recipe="{broken"/>'),
        stranger(f'<rdf:Description xmlns:i="urn:impasto:1.0/" i:Recipe="{"[" * 100_000}"/>'),
        stranger(f'<rdf:Description xmlns:i="urn:impasto:1.0/" i:Recipe="{"9" * 5000}"/>'),
        stranger('<rdf:Description xmlns:t="http://www.tc260.org.cn/ns/AIGC/1.0/" t:AIGC="yes"/>'),
    ],
    ids=lambda xmp: repr(xmp[:40]),
)
def test_a_broken_or_hostile_packet_says_nothing(tmp_path: Path, xmp: bytes) -> None:
    assert parse(xmp) == NOTHING
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "WEBP", xmp=xmp)
    (tmp_path / "picture").write_bytes(file.getvalue())
    assert inspect(tmp_path / "picture") == NOTHING


def test_the_test_for_hostile_packets_can_fail() -> None:
    assert parse(stranger(LABEL.format("plain")))["labels"] == {"AISystemUsed": "plain"}


@pytest.mark.parametrize("data", [None, b"", b"Dear reader,", b"II*\0\xff\xff\xff\xff"])
def test_what_is_not_a_picture_cannot_be_inspected(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / "letter").write_bytes(data)
    with pytest.raises(PictureError) as caught:
        inspect(tmp_path / "letter")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["out", "out.png", "out.bmp"])
def test_a_clip_that_was_renamed_is_still_inspected(tmp_path: Path, recipe: dict[str, Any], name: str) -> None:
    with av.open(tmp_path / "clip.mkv", "w") as clip:
        clip.metadata["XMP"] = packet(recipe).decode()
        stream = clip.add_stream("ffv1", rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        clip.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        clip.mux(stream.encode())
    (tmp_path / "clip.mkv").rename(tmp_path / name)
    assert inspect(tmp_path / name)["recipe"] == recipe
