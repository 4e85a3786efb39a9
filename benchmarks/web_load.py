"""Does the page stand a crowd? Fifty visitors at once for ten minutes, honest ones and others. One command.

    python benchmarks/web_load.py [--visitors N] [--minutes M]

A page of its own, in a process of its own, behind a password. Four of five visitors are honest: each opens the page,
uploads a photograph that nobody else has, and has it painted as a small draft, again and again; some cancel a job, some
close the page while it works. A job ends right if its picture is a PNG of the size asked for that differs from the
photograph, or if it was cancelled. A full queue is answered in a line, and the visitor tries again. Every fifth visitor
sends what no honest one does. Printed are the jobs, how long they waited, the memory of the server over time, and what
is left in its scratch folder when all have gone and files are old. Ends with 1 if anything is wrong.
"""

import argparse
import asyncio
import io
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

NAME, PASSWORD, SIDE = "crowd", "a b&c", 128
STYLES = ("swirl", "mosaic", "facets")
AGE = 180  # seconds that files stay
FLAT = 1.10  # memory at the end over memory when all are there
BOMB = (20_000, 20_000)  # pixels of a picture of some kilobytes
HOSTILE = (
    ("GET", "/gradio_api/file=/etc/passwd", None, {}),
    ("GET", "/gradio_api/file=../../../../etc/passwd", None, {}),
    ("GET", "/", None, {"Host": "evil.example"}),
    ("POST", "/gradio_api/queue/join", {"data": []}, {"Origin": "https://evil.example"}),
    ("POST", "/gradio_api/call/style", {"data": [{"path": "/etc/passwd"}]}, {}),
    ("POST", "/gradio_api/call/latent", b"[" * 50_000, {}),
    ("POST", "/gradio_api/call/latent", b'{"data": [NaN, 1]}', {}),
    ("POST", "/gradio_api/call/nothing", {"data": ["x" * 60_000]}, {}),
    ("POST", "/gradio_api/upload", b"x" * 3_000_000, {"Content-Type": "multipart/form-data; boundary=b"}),
    ("PUT", "/config", b"{}", {}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        words = [sys.executable, "-m", "impasto", "web", "--port", str(port)]
        words += ["--max-upload", "2", "--max-hours", str(AGE / 3600)]
        environment = {**os.environ, "TMPDIR": folder, "IMPASTO_AUTH": f"{NAME}:{PASSWORD}"}
        log = Path(folder) / "log"
        with log.open("w") as written:
            server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=written, text=True, env=environment)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            (scratch,) = Path(folder).glob("impasto-web-*")
            crowd = Crowd(f"http://127.0.0.1:{port}", server.pid, scratch, 60 * args.minutes)
            asyncio.run(crowd.come(args.visitors))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        sys.exit(crowd.told(log.read_text()))


class Crowd:
    """All visitors of the page at `address`, and what became of them."""

    def __init__(self, address: str, pid: int, scratch: Path, seconds: float) -> None:
        self.address, self.pid, self.scratch, self.seconds = address, pid, scratch, seconds
        self.begun = time.perf_counter()
        self.counts: Counter[str] = Counter()
        self.waits: list[float] = []
        self.wrong: list[str] = []
        self.memory: list[tuple[float, int]] = []

    @property
    def passed(self) -> float:
        return time.perf_counter() - self.begun

    async def come(self, visitors: int) -> None:
        watching = asyncio.create_task(self.watch())
        await asyncio.gather(*(self.visit(number, hostile=number % 5 == 4) for number in range(visitors)))
        gone = time.perf_counter()
        while (left := list(self.scratch.iterdir())) and time.perf_counter() - gone < 2 * AGE:
            await asyncio.sleep(1)
        self.wrong += [f"left behind: {path.name}" for path in left]
        watching.cancel()

    async def watch(self) -> None:
        """The server's resident memory, every second."""
        while True:
            status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
            self.memory.append((self.passed, 1024 * resident))
            await asyncio.sleep(1)

    async def visit(self, number: int, hostile: bool) -> None:
        dice = random.Random(number)
        kept = httpx.Limits(keepalive_expiry=1)  # before the server would close a connection
        async with httpx.AsyncClient(base_url=self.address, timeout=300, limits=kept, verify=False) as client:
            while (await client.post("/login", data={"username": NAME, "password": PASSWORD})).status_code != 200:
                await asyncio.sleep(dice.uniform(0.1, 1))  # one of an address at a time
            while self.passed < self.seconds:
                try:
                    await (self.attack(client, dice) if hostile else self.open_page(client, dice))
                except Exception as error:
                    self.wrong.append(f"visitor {number}: {type(error).__name__} {error}"[:300])
                await asyncio.sleep(dice.uniform(0, 1))

    async def attack(self, client: httpx.AsyncClient, dice: random.Random) -> None:
        method, path, body, headers = dice.choice(HOSTILE)
        sent = {"json": body} if isinstance(body, dict) else {"content": body}
        answer = await client.request(method, path, headers=headers, **sent)  # type: ignore[arg-type]
        if path == "/gradio_api/call/style" and answer.status_code == 200:
            event, said = await self.ending(client, "style", answer.json()["event_id"])
            if event != "error":
                self.wrong.append(f"{path} gave {said}")
        elif not 400 <= answer.status_code < 500 and answer.status_code != 503:
            self.wrong.append(f"{method} {path} was answered with {answer.status_code}")
        bomb = (await client.post("/gradio_api/upload", files={"files": ("a.png", flat(*BOMB))})).json()[0]
        event, said = await self.painted(client, bomb, "swirl", f"bomb{dice.random()}")
        if event == "complete" or "pixels" not in str(said):
            self.wrong.append(f"a picture of {BOMB} pixels gave {said}")
        self.counts["attacks"] += 2

    async def open_page(self, client: httpx.AsyncClient, dice: random.Random) -> None:
        """Come, have some pictures painted, and go."""
        session = f"s{dice.getrandbits(60)}"
        assert (await client.get("/config")).status_code == 200
        async with client.stream("GET", f"/gradio_api/heartbeat/{session}"):
            for _ in range(dice.randint(1, 4)):
                data = photograph(dice.getrandbits(32))
                uploaded = (await client.post("/gradio_api/upload", files={"files": ("photo.png", data)})).json()[0]
                await self.job(client, dice, session, uploaded, data)
            if dice.random() < 0.1:  # and go while a job works
                await self.begin(client, uploaded, dice.choice(STYLES), session)
                async with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}):
                    await asyncio.sleep(dice.uniform(0, 1))
                self.counts["left at work"] += 1

    async def job(
        self, client: httpx.AsyncClient, dice: random.Random, session: str, uploaded: str, data: bytes
    ) -> None:
        asked = time.perf_counter()
        if dice.random() < 0.1:
            event_id = await self.begin(client, uploaded, "swirl", session)
            body = {"session_hash": session, "fn_index": 0, "event_id": event_id}
            assert (await client.post("/gradio_api/cancel", json=body)).status_code == 200
            self.counts["cancelled"] += 1
            return
        event, said = await self.painted(client, uploaded, dice.choice(STYLES), session)
        self.waits.append(time.perf_counter() - asked)
        if event != "complete":
            self.wrong.append(f"a job ended with {event} {said}")
            return
        got = await client.get(f"/gradio_api/file={said[1]['path']}")
        picture, photo = (np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in (got.content, data))
        if picture.shape != photo.shape or np.abs(picture.astype(float) - photo).mean() < 5:
            self.wrong.append(f"a job gave a picture of {picture.shape}")
        self.counts["painted"] += 1

    async def painted(self, client: httpx.AsyncClient, photo: str, style: str, session: str) -> tuple[str, Any]:
        """How the job ends, and with what."""
        return await self.ending(client, "style", await self.begin(client, photo, style, session))

    async def begin(self, client: httpx.AsyncClient, photo: str, style: str, session: str) -> str:
        given = {"path": photo, "meta": {"_type": "gradio.FileData"}}
        words = [given, [style], "draft", 1, 1, 0.5, "style", SIDE, 0, "", "protect", None, None]
        while True:
            answer = await client.post("/gradio_api/call/style", json={"data": words, "session_hash": session})
            if answer.status_code == 200:
                return str(answer.json()["event_id"])
            if answer.status_code != 503:
                raise RuntimeError(f"a job was answered with {answer.status_code} {answer.text}")
            self.counts["found the queue full"] += 1
            await asyncio.sleep(1)

    async def ending(self, client: httpx.AsyncClient, name: str, event_id: str) -> tuple[str, Any]:
        text = (await client.get(f"/gradio_api/call/{name}/{event_id}")).text
        event, _, content = text.strip().split("\n\n")[-1].partition("\n")
        return event.removeprefix("event: "), json.loads(content.removeprefix("data: "))

    def told(self, log: str) -> int:
        """Print the figures; 1 if anything is wrong."""
        print(", ".join(f"{count} {what}" for what, count in self.counts.items()))
        if self.waits:
            longest = max(self.waits)
            print(f"a job took {statistics.median(self.waits):.1f} s in the median, {longest:.1f} s at most")
        fifth = self.seconds / 5
        parts = [[size for at, size in self.memory if i * fifth <= at < (i + 1) * fifth] for i in range(5)]
        highest = [max(part, default=0) for part in parts]
        print("resident, the most in each fifth of the time: " + ", ".join(f"{h / 1e9:.2f} GB" for h in highest))
        if highest[4] > FLAT * highest[1]:
            self.wrong.append("memory grew")
        if "Traceback" in log:
            self.wrong.append("the server's log has a traceback: " + log[log.index("Traceback") :][:2000])
        print("\n".join(self.wrong[:20]) or "nothing went wrong")
        return 1 if self.wrong else 0


@cache
def flat(width: int, height: int) -> bytes:
    """A PNG that is much larger than its file."""
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


def photograph(seed: int) -> bytes:
    """A PNG that no other seed gives."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((SIDE, 96), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
