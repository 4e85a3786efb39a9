"""Data sets by name: from the user's folder, or from the first server that has the right file."""

import gzip
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest
import torch

from impasto.data import Stored, load, named
from impasto.errors import DataError


class Server(ThreadingHTTPServer):
    """Serves `files` by their path, and counts what was asked for."""

    files: dict[str, bytes]
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty IMPASTO_HOME, no data folder, no servers, no proxy, and no pause between two attempts."""
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IMPASTO_DATA", raising=False)
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    for name, source in named.SOURCES.items():
        monkeypatch.setitem(named.SOURCES, name, replace(source, mirrors=("http://127.0.0.1:9/",)))
    return tmp_path / "home"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, writer: Any) -> Iterator[Server]:
    """A server that mnist takes for two mirrors, /first/ and /second/; the second has all the files."""
    writer.mnist()
    with Server(("127.0.0.1", 0), Handler) as server:
        contents = {file.name: file.read_bytes() for file in writer.folder.iterdir()}
        server.files = {f"/second/{name}": content for name, content in contents.items()}
        server.asked = []
        base = f"http://127.0.0.1:{server.server_port}"
        source = replace(
            named.SOURCES["mnist"],
            mirrors=(f"{base}/first/", f"{base}/second/"),
            md5={name: md5(content).hexdigest() for name, content in contents.items()},
        )
        monkeypatch.setitem(named.SOURCES, "mnist", source)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # seconds between looks at shutdown
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def stored(name: str, split: str, **options: Any) -> Stored:
    data = load(name, split, **options)
    assert isinstance(data, Stored)
    return data


def pairs(images: Any, labels: Any) -> list[tuple[bytes, int]]:
    return [(np.asarray(image).tobytes(), int(label)) for image, label in zip(images, labels, strict=True)]


def assert_is_what_was_written(data: Stored, writer: Any, split: str = "test") -> None:
    assert pairs(data.images, data.labels) == pairs(writer.images[split], writer.labels[split])


def files_below(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file()]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("subfolder", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_files_are_found_in_the_folder_or_its_subfolder(
    writer: Any, name: str, subfolder: bool, packed: bool
) -> None:
    writer.mnist(writer.folder / name if subfolder else None, packed)
    data = stored(name, "test", data_dir=writer.folder)
    assert_is_what_was_written(data, writer)
    assert (data.name, data.channels, data.size, len(data.class_names)) == (name, 1, 8, 10)
    assert data.images.dtype == torch.uint8


def test_the_environment_names_the_folder(writer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.mnist()
    monkeypatch.setenv("IMPASTO_DATA", str(writer.folder))
    assert_is_what_was_written(stored("mnist", "test"), writer)


@pytest.mark.parametrize("place", ["cifar-10-python.tar.gz", "cifar10/cifar-10-python.tar.gz"])
def test_the_archive_of_cifar10_is_found(writer: Any, place: str) -> None:
    writer.cifar_archive(writer.folder / place, writer.cifar_batches())
    assert_is_what_was_written(stored("cifar10", "test", data_dir=writer.folder), writer)


@pytest.mark.parametrize("place", [".", "cifar-10-batches-py", "cifar10/cifar-10-batches-py"])
def test_the_unpacked_batches_of_cifar10_are_found(writer: Any, place: str) -> None:
    folder = writer.folder / place
    folder.mkdir(parents=True)
    for name, content in writer.cifar_batches().items():
        (folder / name).write_bytes(content)
    data = stored("cifar10", "test", data_dir=writer.folder)
    assert_is_what_was_written(data, writer)
    assert (data.channels, data.size, data.class_names[3]) == (3, 32, "cat")


@pytest.mark.parametrize(("name", "one_in"), [("mnist", 12), ("cifar10", 10)])
def test_the_validation_part_is_held_out_of_the_training_data(writer: Any, name: str, one_in: int) -> None:
    if name == "mnist":
        writer.mnist()
    else:
        writer.cifar_archive(writer.folder / "cifar-10-python.tar.gz", writer.cifar_batches())
    train, validation = (stored(name, split, data_dir=writer.folder) for split in ("train", "validation"))
    written = pairs(writer.images["train"], writer.labels["train"])
    assert len(validation) == len(written) // one_in
    both = pairs(train.images, train.labels) + pairs(validation.images, validation.labels)
    assert len(both) == len(written)
    assert set(both) == set(written)
    again = stored(name, "validation", data_dir=writer.folder)
    assert torch.equal(again.images, validation.images)


def test_the_validation_part_of_mnist_is_5000_pictures_for_good() -> None:
    # The stream of RandomState is frozen, so these numbers hold for ever.
    assert 60_000 // named.SOURCES["mnist"].validation == 50_000 // named.SOURCES["cifar10"].validation == 5_000
    assert np.random.RandomState(named.SEED).permutation(60_000)[:4].tolist() == [3048, 19563, 58303, 8870]


def test_a_folder_named_after_another_data_set_is_not_taken_for_this_one(writer: Any) -> None:
    writer.mnist(writer.folder / "mnist")
    with pytest.raises(DataError, match="cannot download"):
        load("fashion-mnist", "test", data_dir=writer.folder / "mnist")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*nowhere; correct --data-dir"):
        load("mnist", "test", data_dir=tmp_path / "nowhere")


def test_pictures_that_are_not_square_are_refused(writer: Any) -> None:
    writer.mnist(packed=False)
    file = writer.folder / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes().replace(bytes([0, 0, 0, 8, 0, 0, 0, 8]), bytes([0, 0, 0, 4, 0, 0, 0, 16]), 1))
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte has pictures of 4 × 16 pixels"):
        load("mnist", "test", data_dir=writer.folder)


def test_a_label_out_of_range_is_refused(writer: Any) -> None:
    writer.mnist(packed=False)
    file = writer.folder / "t10k-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte has labels from \d to 10"):
        load("mnist", "test", data_dir=writer.folder)


def test_another_number_of_labels_than_pictures_is_refused(writer: Any) -> None:
    writer.mnist(packed=False)
    file = writer.folder / "t10k-labels-idx1-ubyte"
    file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 0]))
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte has 2 labels for 5 pictures"):
        load("mnist", "test", data_dir=writer.folder)


def test_labels_in_place_of_pictures_are_refused(writer: Any) -> None:
    writer.mnist(packed=False)
    labels = (writer.folder / "t10k-labels-idx1-ubyte").read_bytes()
    (writer.folder / "t10k-images-idx3-ubyte").write_bytes(labels)
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte has 1 dimensions instead of 3"):
        load("mnist", "test", data_dir=writer.folder)


def test_a_data_set_is_fetched_from_the_first_server_that_has_it_and_kept(
    server: Server, home: Path, writer: Any
) -> None:
    assert_is_what_was_written(stored("mnist", "test"), writer)
    assert any(path.startswith("/first/") for path in server.asked)
    assert sorted(files_below(home / "data" / "mnist")) == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    asked = len(server.asked)
    assert_is_what_was_written(stored("mnist", "test"), writer)
    assert len(server.asked) == asked


def test_a_server_with_another_file_is_passed_over(server: Server, writer: Any) -> None:
    server.files["/first/t10k-images-idx3-ubyte.gz"] = gzip.compress(b"something else")
    assert_is_what_was_written(stored("mnist", "test"), writer)


def test_a_data_folder_without_the_data_set_leaves_it_to_the_servers(
    server: Server, writer: Any, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert_is_what_was_written(stored("mnist", "test", data_dir=tmp_path / "empty"), writer)


def test_a_wrong_checksum_everywhere_is_one_clear_line_and_leaves_nothing(server: Server, home: Path) -> None:
    for mirror in ("first", "second"):
        server.files[f"/{mirror}/t10k-images-idx3-ubyte.gz"] = b"something else"
    with pytest.raises(DataError, match="what came does not have its hash") as error:
        load("mnist", "test")
    assert "\n" not in str(error.value)
    assert files_below(home) == []


def test_a_file_that_no_server_has_is_named_with_the_status(server: Server) -> None:
    server.files.clear()
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz \(the server answers 404\)"):
        load("mnist", "test")


@pytest.mark.parametrize(
    ("name", "file"), [("mnist", "train-images-idx3-ubyte.gz"), ("cifar10", "cifar-10-python.tar.gz")]
)
def test_without_a_network_one_line_says_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        monkeypatch.setitem(named.SOURCES, name, replace(named.SOURCES[name], mirrors=(url,)))
        with pytest.raises(DataError, match="no connection") as error:
            load(name, "train")
    for part in (url + file, str(home / "data" / name / file), "--data-dir", "glyphs"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert files_below(home) == []


def test_a_cache_that_cannot_be_written_is_named(server: Server, home: Path) -> None:
    home.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="IMPASTO_HOME") as error:
        load("mnist", "test")
    assert str(home) in str(error.value)


def digits(folder: Path, split: str, images: np.ndarray, labels: np.ndarray) -> None:
    """The files of MNIST and of what bears the names of its files."""
    folder.mkdir(parents=True, exist_ok=True)
    start = "t10k" if split == "test" else "train"
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / f"{start}-{name}-ubyte").write_bytes(head + array.astype(np.uint8).tobytes())


def as_bright_as(mean: float, n: int, *shape: int) -> np.ndarray:
    """Pictures of about this mean brightness, in [0, 1], each a little darker or brighter than the others."""
    random = np.random.default_rng(0)
    each = mean * random.uniform(0.7, 1.3, (n, *[1] * len(shape)))
    return (random.random((n, *shape)) < each).astype(np.uint8) * 255


MNIST, FASHION = 0.1307, 0.2860  # as everybody has them who normalises


@pytest.mark.parametrize(
    ("name", "mean", "fits"),
    [
        ("mnist", MNIST, True),
        ("fashion-mnist", FASHION, True),
        ("mnist", FASHION, False),
        ("fashion-mnist", MNIST, False),
        ("mnist", 0.1918, False),  # Kuzushiji-MNIST
        ("mnist", 0.1722, False),  # EMNIST
        ("mnist", 1 - MNIST, False),  # black on white
    ],
)
@pytest.mark.parametrize("n", [200, 2000])
def test_what_bears_the_name_of_a_data_set_is_one(tmp_path: Path, name: str, mean: float, fits: bool, n: int) -> None:
    digits(tmp_path, "test", as_bright_as(mean, n, 28, 28), np.arange(n) % 10)
    if fits:
        assert len(stored(name, "test", data_dir=tmp_path)) == n
    else:
        with pytest.raises(DataError, match=f"is not {name}: it has pictures of a mean brightness of 0"):
            load(name, "test", data_dir=tmp_path)


MNIST_TEST = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)  # pictures of each digit, on every page about it


def test_labels_of_another_data_set_are_refused(tmp_path: Path) -> None:
    images = as_bright_as(MNIST, 10_000, 28, 28)
    digits(tmp_path, "test", images, np.repeat(np.arange(10), MNIST_TEST))
    assert len(stored("mnist", "test", data_dir=tmp_path)) == 10_000
    digits(tmp_path, "test", images, np.arange(10_000) % 10)  # as many of each: those of Fashion-MNIST
    with pytest.raises(DataError, match="is not mnist: it has other numbers of pictures of its classes"):
        load("mnist", "test", data_dir=tmp_path)


def test_test_pictures_in_place_of_the_training_pictures_are_refused(tmp_path: Path) -> None:
    digits(tmp_path, "train", as_bright_as(MNIST, 10_000, 28, 28), np.repeat(np.arange(10), MNIST_TEST))
    with pytest.raises(DataError, match="the test pictures in place of the training pictures"):
        load("mnist", "train", data_dir=tmp_path)


def test_cifar10_with_its_colours_in_another_order_is_refused() -> None:
    labels, file = np.arange(5000) % 10, Path("cifar")
    images = np.stack([as_bright_as(mean, 5000, 32, 32) for mean in (0.4914, 0.4822, 0.4465)], 1)
    named._check_contents("cifar10", "train", file, images, labels)
    with pytest.raises(DataError, match=r"0\.45, 0\.48, 0\.49 instead of 0\.49, 0\.48, 0\.45"):
        named._check_contents("cifar10", "train", file, images[:, ::-1], labels)
