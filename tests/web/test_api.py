"""The page as a program meets it, by the names that docs/web.md gives; and what it keeps to itself."""

import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import impasto
from impasto.errors import SettingsError, warn
from impasto.media import clip
from impasto.media.clip import Info
from impasto.media.inspect import inspect
from impasto.media.sound import Sound

GUIDE = Path(__file__).parents[2] / "docs" / "web.md"


@pytest.fixture
def client(page: Any, tmp_path: Path) -> Iterator[Any]:
    from gradio_client import Client

    visitor = Client(page.url, download_files=str(tmp_path / "answers"), verbose=False)
    yield visitor
    visitor.close()


def file(path: Path) -> Any:
    from gradio_client import handle_file

    return handle_file(str(path))


def test_the_guide_names_every_endpoint(client: Any) -> None:
    named = set(client.view_api(return_format="dict")["named_endpoints"])
    assert named == set(re.findall(r"^\| `(/\w+)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE))


def test_style(client: Any, photo: Path) -> None:
    answer = client.predict(photo=file(photo), styles=["wave", "ink"], quality="draft", size=128, api_name="/style")
    found = inspect(answer[1])["recipe"]
    assert [style["name"] for style in found["styles"]] == ["wave.jpg", "ink.jpg"]
    assert Image.open(answer[1]).size == (128, 85)


def test_a_photograph_does_not_grow_old_while_its_job_waits(
    client: Any, page: Any, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from impasto.web import work

    go_on = threading.Event()
    busy = threading.Thread(target=work.computed, args=(go_on.wait,))
    busy.start()
    try:
        job = client.submit(photo=file(photo), styles=["wave"], quality="draft", size=128, api_name="/style")
        while not (named := work.files_of_jobs(page.blocks)):
            time.sleep(0.05)
        assert all(one.name == photo.name and page.files in one.parents for one in named)
        with monkeypatch.context() as patched:
            now = time.time()
            patched.setattr("time.time", lambda: now + 1e6)
            work.storage.sweep(named)
    finally:
        go_on.set()
        busy.join()
    assert Image.open(job.result(timeout=300)[1]).size == (128, 85)
    while work.files_of_jobs(page.blocks):
        time.sleep(0.05)


def test_style_says_what_is_wrong_in_one_line(client: Any, photo: Path, tmp_path: Path) -> None:
    from gradio_client.exceptions import AppError

    (tmp_path / "no.jpg").write_text("no")
    with pytest.raises(AppError, match=r"^no\.jpg is a text, which is not read here"):
        client.predict(photo=file(tmp_path / "no.jpg"), api_name="/style")
    with pytest.raises(AppError, match="Choose at least one style"):
        client.predict(photo=file(photo), styles=[], api_name="/style")
    with pytest.raises(AppError, match="greater than maximum"):
        client.predict(photo=file(photo), size=4096, api_name="/style")


def test_video(client: Any, tmp_path: Path) -> None:
    written(tmp_path / "clip.mp4", frames=3)
    answer = client.predict(clip=file(tmp_path / "clip.mp4"), size=128, api_name="/video")
    assert len(list(clip.read(answer[1]))) == 3
    assert inspect(answer[1])["recipe"]["settings"]["quality"] == "draft"


def test_styles_take_turns_in_a_clip_where_its_mask_is_white(client: Any, tmp_path: Path) -> None:
    written(tmp_path / "clip.mp4", frames=24)
    half = torch.zeros(1, 3, 48, 64)
    half[..., 32:] = 1
    with clip.write(tmp_path / "mask.mp4", Info(64, 48, Fraction(12))) as out:
        for index in range(24):
            out.add(half, Fraction(index, 12))
    answer = client.predict(
        clip=file(tmp_path / "clip.mp4"), styles=["ink", "meadow"], size=128, turns=True,
        mask=file(tmp_path / "mask.mp4"), api_name="/video",
    )  # fmt: skip
    settings = inspect(answer[1])["recipe"]["settings"]
    assert (settings["style 1 since"], settings["style 2 since"]) == (0, 1)
    frames = [frame.pixels for frame in clip.read(answer[1])]
    given = [frame.pixels for frame in clip.read(tmp_path / "clip.mp4", size=128)]
    assert (frames[5] - given[5])[..., :48].abs().mean() < 0.05  # black: as it was
    ink, meadow = ((frame[:, 0] - frame[:, 2])[..., 80:].mean() for frame in (frames[5], frames[-1]))
    assert ink > 0.08 > 0 > meadow  # brown paper has more red than blue, a meadow less


@pytest.mark.parametrize("mask", ["broken.mp4", "broken.png"])
def test_a_broken_mask_of_a_clip_gets_a_line(client: Any, tmp_path: Path, mask: str) -> None:
    written(tmp_path / "clip.mp4", frames=2)
    (tmp_path / mask).write_bytes(b"nothing")
    with pytest.raises(Exception, match=rf"^{mask}"):
        client.predict(clip=file(tmp_path / "clip.mp4"), mask=file(tmp_path / mask), api_name="/video")


def test_too_long_a_clip_is_refused(client: Any, tmp_path: Path) -> None:
    written(tmp_path / "long.mp4", frames=48)
    with pytest.raises(Exception, match=r"^long\.mp4 is longer than 3 seconds"):
        client.predict(clip=file(tmp_path / "long.mp4"), api_name="/video")


def written(path: Path, frames: int) -> None:
    with clip.write(path, Info(64, 48, Fraction(12))) as out:
        for index in range(frames):
            out.add(torch.rand(1, 3, 48, 64), Fraction(index, 12))


def test_music(client: Any, tmp_path: Path) -> None:
    noise = torch.randn(1, 8000) * 0.1
    tone = torch.sin(torch.arange(8000) / 10)[None] * 0.3
    for name, samples in (("noise", noise), ("tone", tone)):
        Sound(samples, 8000).save(tmp_path / f"{name}.wav")
    answer = client.predict(
        content=file(tmp_path / "tone.wav"), style=file(tmp_path / "noise.wav"), steps=20, api_name="/music"
    )
    assert inspect(answer[1])["recipe"]["settings"]["steps"] == 20
    assert Path(answer[1]).name == "tone-noise.wav"


def test_too_long_a_sound_is_refused(client: Any, tmp_path: Path) -> None:
    Sound(torch.rand(1, 8000 * 5) * 0.1, 8000).save(tmp_path / "long.wav")
    with pytest.raises(Exception, match=r"^long\.wav is longer than 0:00:03"):
        client.predict(content=file(tmp_path / "long.wav"), style=file(tmp_path / "long.wav"), api_name="/music")


def test_compare(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from impasto.web import models

    monkeypatch.setattr(models, "DRAWING", ["mnist-gan", "mnist-vae"])
    sheet, table, _ = client.predict(api_name="/compare")
    assert inspect(sheet)["recipe"]["settings"]["models"] == ["mnist-gan", "mnist-vae"]
    assert Image.open(sheet).height == 2 * 113 + 1
    cells = re.findall(r"<t[hd]>(.*?)</t[hd]>", table)
    assert cells[:8] == ["Model", "Family", "MB", "Seconds a picture", "Figures", "mnist-gan", "GAN", "0.7"]
    assert 0 < float(cells[8]) < 60 and cells[9] == "Fréchet distance 0.30 (floor 0.15)"
    assert cells[10:13] == ["mnist-vae", "VAE", "2.9"] and "82.63 nats" in cells[14]


def test_sample_and_interpolate_and_latent(client: Any) -> None:
    sheet, _, _ = client.predict(model="mnist-gan", n=4, labels="7", seed=3, api_name="/sample")
    assert inspect(sheet)["recipe"]["settings"]["seed"] == 3
    again, _, _ = client.predict(model="mnist-gan", n=4, labels="7", seed=3, api_name="/sample")
    assert Path(sheet).read_bytes() == Path(again).read_bytes()
    rows = client.predict(model="mnist-vae", rows=2, columns=3, api_name="/interpolate")
    assert inspect(rows)["recipe"]["command"] == "interpolate"
    rows = client.predict(model="cifar10-diffusion", rows=1, columns=2, labels="ship", api_name="/interpolate")
    assert Image.open(rows).convert("HSV").getextrema()[1][1] > 50  # in colours
    assert Image.open(client.predict(0.2, 0.9, api_name="/latent")).size == (308, 308)


def test_diffusion_comes_with_a_film_of_it(client: Any) -> None:
    _, film, _ = client.predict(model="mnist-diffusion", n=1, api_name="/sample")
    assert len(list(clip.read(film))) > 20
    found = inspect(film)
    assert found["recipe"]["settings"]["model"] == "mnist-diffusion" and found["labels"]["AISystemUsed"] == "Impasto"


def test_classify_a_sampled_digit(client: Any, digit: Path) -> None:
    found = client.predict(file(digit), "mnist-cnn", api_name="/classify")
    assert found["label"] == "1" and found["confidences"][0]["confidence"] > 0.5


def test_inpaint_keeps_the_known_half(client: Any, digit: Path) -> None:
    layer = Image.new("RGBA", (28, 28))
    layer.putalpha(Image.open(digit))
    layer.save(digit)
    sheet = {"background": None, "layers": [file(digit)], "composite": None}
    drawn, _ = client.predict(sheet, "lower", "mnist-pixelcnn", 1, 0, api_name="/inpaint")
    upper = Image.open(drawn).convert("L").crop((2, 2, 58, 30))  # 28 pixels of 2 x 2, below a border of 2
    assert upper.resize((28, 14), Image.Resampling.NEAREST).tobytes() == known_half(digit)


def known_half(file: Path) -> bytes:
    return Image.open(file).getchannel("A").crop((0, 0, 28, 14)).tobytes()


def test_inspect(client: Any, photo: Path) -> None:
    found, _ = client.predict(file(photo), api_name="/inspect")
    assert found == {"recipe": None, "labels": {}}


@pytest.mark.parametrize("wanted", [GUIDE, Path.home(), Path("/etc/passwd"), Path(impasto.__file__)])
def test_no_file_of_the_machine_is_served(page: Any, wanted: Path) -> None:
    for address in (wanted, f"{page.files}/../../{wanted}"):
        with pytest.raises(urllib.error.HTTPError, match=r"403|404"):
            urllib.request.urlopen(f"{page.url}/gradio_api/file={address}")


def test_only_what_was_uploaded_is_read(page: Any, digit: Path) -> None:
    given = {"path": str(digit), "meta": {"_type": "gradio.FileData"}}
    call, headers = f"{page.url}/gradio_api/call/classify", {"Content-Type": "application/json"}
    words = json.dumps({"data": [given, "mnist-cnn"]}).encode()
    event = json.load(urllib.request.urlopen(urllib.request.Request(call, words, headers)))["event_id"]
    answer = urllib.request.urlopen(f"{call}/{event}").read()
    assert b"event: error" in answer and b"confidences" not in answer


def test_files_of_a_visitor_go_with_the_visitor(page: Any, tmp_path: Path) -> None:
    from gradio_client import Client

    def results() -> set[Path]:
        return set(page.files.rglob("mnist-vae-interpolated.png"))

    before = results()
    visitor = Client(page.url, download_files=str(tmp_path), verbose=False)
    visitor.predict(model="mnist-vae", rows=1, columns=2, api_name="/interpolate")
    (result,) = results() - before
    assert len(result.parent.name) >= 32  # nobody guesses it
    visitor.close()
    deadline = time.monotonic() + 60
    while result.exists():
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.2)


def test_nothing_is_recorded_or_sent(page: Any) -> None:
    config = json.load(urllib.request.urlopen(f"{page.url}/config"))
    assert config["analytics_enabled"] is False and config["run_history"] is False


def test_a_gif_can_be_a_style_and_a_moving_one_is_refused(client: Any, photo: Path, tmp_path: Path) -> None:
    still, other = Image.open(photo).convert("P"), Image.new("P", (180, 120))
    still.save(tmp_path / "still.gif")
    still.save(tmp_path / "moving.gif", save_all=True, append_images=[other])
    words = {"photo": file(photo), "styles": [], "quality": "draft", "size": 128, "api_name": "/style"}
    answer = client.predict(**words, own_styles=[file(tmp_path / "still.gif")])
    assert [style["name"] for style in inspect(answer[1])["recipe"]["styles"]] == ["still.gif"]
    with pytest.raises(Exception, match=r"^moving\.gif is animated"):
        client.predict(**words, own_styles=[file(tmp_path / "moving.gif")])


def test_a_warning_is_a_notice_to_the_visitor_whose_job_gives_it(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for the same words, however often they come; another visitor hears them anew."""

    def interpolations(*_: Any) -> None:
        for _ in range(2):
            warn(f"{page.files}/0123abcd/a <b>.png\n is odd")
        raise SettingsError("no more")

    monkeypatch.setattr("impasto.models.drawing.interpolations", interpolations)
    for visitor in ("first", "second"):
        said = messages(page.url, "interpolate", ["mnist-vae", 1, 2, "", 0], visitor)
        notices = [one for one in said if one["msg"] == "log"]
        assert [(one["level"], one["log"]) for one in notices] == [("warning", "a &lt;b&gt;.png is odd")]
        assert said[-1]["output"]["error"] == "no more"


def messages(url: str, name: str, words: list[Any], visitor: str) -> list[dict[str, Any]]:
    """All that the page's own script would hear of a job."""
    config = json.load(urllib.request.urlopen(f"{url}/config"))
    number = next(one["id"] for one in config["dependencies"] if one["api_name"] == name)
    body = json.dumps({"data": words, "fn_index": number, "session_hash": visitor}).encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{url}/gradio_api/queue/join", body, headers))
    said: list[dict[str, Any]] = []
    with urllib.request.urlopen(f"{url}/gradio_api/queue/data?session_hash={visitor}", timeout=60) as lines:
        for line in lines:
            if line.startswith(b"data:"):
                said.append(json.loads(line[5:]))
                if said[-1]["msg"] == "process_completed":
                    return said
    return said
