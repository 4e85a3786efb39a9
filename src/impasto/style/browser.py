"""`draft` as a page that needs no server: a folder that any file server serves, where all is painted in the browser.

The network is the graph of `portable`, its weights in float16. What runs it, onnxruntime-web by WebAssembly or WebGPU,
comes from npm while the folder is written.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from impasto import provenance, weights
from impasto.bundled import ASSETS, STYLES
from impasto.errors import OutputError, SettingsError

RUNTIME = "onnxruntime-web@1.30.0"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
PAGE = ("index.html", "page.css", "page.js", "label.js", "worker.js")
ENGINES = {"wasm": "ort-wasm-simd-threaded", "webgpu": "ort-wasm-simd-threaded.asyncify"}  # what each module loads
SMALL = 256  # numbers of a tensor that stays float32
LICENCE = """onnxruntime-web, as published on npm: MIT License, Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def write(folder: Path, graph: Callable[[Path], None]) -> None:
    """Fill a new folder with the page.

    Args:
        graph: writes `portable.Portable` as ONNX, which takes a minute.

    Raises:
        OutputError: there is something at `folder`, or it cannot be written.
        SettingsError: npm is missing, or does not give the runtime.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is there already; name another folder, or delete it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".impasto-page-") as work:
        page = Path(work) / "page"
        (page / "runtime").mkdir(parents=True)
        (page / "styles").mkdir()
        _vendor(page / "runtime", Path(work))
        for name in PAGE:
            shutil.copyfile(ASSETS / "browser" / name, page / name)
        for name, file in STYLES.items():
            shutil.copyfile(file, page / "styles" / f"{name}.jpg")
        graph(page / "draft.onnx")
        _halve(page / "draft.onnx")
        recipe = provenance.drawn_recipe("style", {"quality": "draft"}, {"anystyle": weights.sha256_of("anystyle")})
        recipe["content"] = {"name": "", "sha256": ""}  # a photograph that the page's visitor chose
        made = {"styles": [*STYLES], "packet": provenance.packet(recipe).decode()}
        (page / "made.json").write_text(json.dumps(made), encoding="utf-8")
        core = [*PAGE, "made.json", "draft.onnx", "runtime/ort.wasm.min.mjs"]
        core += [f"runtime/{ENGINES['wasm']}.{kind}" for kind in ("mjs", "wasm")]
        core += [f"styles/{name}.jpg" for name in STYLES]
        version = hashlib.sha256(b"".join((page / name).read_bytes() for name in core)).hexdigest()[:12]
        offline = (ASSETS / "browser" / "offline.js").read_text(encoding="utf-8")
        offline = offline.replace("VERSION", version).replace("FILE_LIST", json.dumps(["./", *core]))
        (page / "offline.js").write_text(offline, encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        page.rename(folder)


def _vendor(folder: Path, work: Path) -> None:
    """What of the runtime a browser needs, with its licence."""
    npm = shutil.which("npm")
    if npm is None:
        raise SettingsError("a page for the browser takes onnxruntime-web from npm: install Node.js, which brings npm")
    ran = subprocess.run([npm, "pack", RUNTIME, "--silent"], cwd=work, capture_output=True, text=True, check=False)
    packed = next(iter(work.glob("*.tgz")), None)
    if ran.returncode or packed is None:
        said = ((ran.stderr or ran.stdout).strip().splitlines() or ["it says nothing"])[-1]
        raise SettingsError(f"npm did not give {RUNTIME}: {said}")
    if hashlib.sha256(packed.read_bytes()).hexdigest() != SHA256:
        raise SettingsError(f"npm gave another {RUNTIME} than the one known here")
    wanted = [f"ort.{kind}.min.mjs" for kind in ENGINES]
    wanted += [f"{name}.{kind}" for name in ENGINES.values() for kind in ("mjs", "wasm")]
    with tarfile.open(packed) as archive:
        for name in wanted:
            source = archive.extractfile(f"package/dist/{name}")
            assert source is not None
            with source, (folder / name).open("wb") as copy:
                shutil.copyfileobj(source, copy)
    (folder / "LICENSE.txt").write_text(LICENCE, encoding="utf-8")


def _halve(graph: Path) -> None:
    """Turn the weights of a graph into float16, which it widens as it is loaded."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(graph)
    casts: list[Any] = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and values.size > SMALL:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, graph)
