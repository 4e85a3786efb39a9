"""Film and games: a shot that follows a painted key frame, a look for all of it, and a surface without a seam.

    python examples/film_and_game.py

writes runs/film/: a clip with sound and its frames (drawn here); a key frame, which stands for one that an artist
painted over; the clip and the frames that follow it, and what of the clip is unchanged; the clip in the colours of a
painting, with the look as a LUT; a game's surface; and a sheet. In a shell:

    impasto video shot.mp4 --key painted.png@0.5s -o painted.mp4
    impasto video frames/ --key keys/ -o painted/frame_%05d.png --bits 16
    impasto grade shot.mp4 swirl -o graded.mp4 --lut look.cube
    impasto texture stone.jpg --width 1024 --height 1024 --seamless both -o surface.png
"""

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from products import walk
from skimage import data
from torch import Tensor

import impasto
from impasto.bundled import STYLES
from impasto.media import clip as clips
from impasto.media import picture
from impasto.media.grids import grid
from impasto.media.lut import Lut
from impasto.media.picture import Picture, resize
from impasto.style import grade, texture, video
from impasto.style.keyframes import keys_of
from impasto.style.settings import Settings

OUT = Path("runs/film")
FRAMES, RATE, SOUND_RATE = 24, 24, 44_100


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)  # painted frames are never written over
    for folder in ("frames", "keys"):
        (OUT / folder).mkdir(parents=True)
    frames = list(walk(FRAMES, Image.fromarray(data.rocket())))
    for number, frame in enumerate(frames, 1):
        frame.save(OUT / "frames" / f"shot_{number:04}.png")
    write_clip(OUT / "shot.mp4", frames)

    middle = FRAMES // 2
    key = OUT / "keys" / f"painted_{middle + 1:04}.png"
    impasto.stylize(OUT / "frames" / f"shot_{middle + 1:04}.png", STYLES["swirl"], size=480, freedom=0.7).save(key)
    for source, target, keys in (
        (OUT / "shot.mp4", OUT / "painted.mp4", keys_of([(key, middle / RATE)])),
        (OUT / "frames", OUT / "painted", keys_of([(OUT / "keys", None)])),
    ):
        *_, last = video.stylizing(video.Job(source, [], target, keys=keys), Settings(quality="draft"))
        print(f"{target}: {last.number} frames, {last.speed:.1f} a second", flush=True)
    before, after = (streams(OUT / name) for name in ("shot.mp4", "painted.mp4"))
    print("frame times unchanged:", before[0] == after[0], "  sound unchanged:", before[1] == after[1])

    look = grade.Job(source=OUT / "shot.mp4", reference=STYLES["wave"], strength=0.7)
    for made in grade.grading(look, OUT / "graded.mp4", one_look=True):
        if isinstance(made, Lut):
            made.save(OUT / "look.cube")
    print(OUT / "graded.mp4", OUT / "look.cube", flush=True)

    job = texture.Job([STYLES["ink"]], seamless="both", scale=0.7)
    *_, step = texture.synthesising(job, Settings())
    step.result().save(OUT / "surface.png")
    print(OUT / "surface.png")
    draw(key, step.result().pixels)


def draw(key: Path, surface: Tensor) -> None:
    """The sheet: frames of the shot, painted and graded; the key frame with its frame, and the surface in repeats."""
    at = [0, FRAMES // 2, FRAMES - 1]
    rows = []
    for name in ("shot.mp4", "painted.mp4", "graded.mp4"):
        frames = [frame.pixels for frame in clips.read(OUT / name)]
        rows.append([frames[number] for number in at])
    height, width = rows[0][0].shape[2:]
    side = resize(surface.repeat(1, 1, 2, 2), 2 * height, 2 * height)[..., :height, :width]
    rows.append([rows[0][1], picture.read(key).pixels, side])
    Picture(grid(torch.cat([cell for row in rows for cell in row]), len(at))).save(OUT / "sheet.jpg")
    print(OUT / "sheet.jpg")


def write_clip(path: Path, frames: list[Image.Image]) -> None:
    """The frames as H.264, with a rising tone."""
    with av.open(str(path), "w") as file:
        shown = file.add_stream("libx264", rate=RATE, options={"crf": "14"})
        shown.width, shown.height, shown.pix_fmt = *frames[0].size, "yuv420p"
        sound = file.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for frame in frames:
            file.mux(shown.encode(av.VideoFrame.from_image(frame)))
        file.mux(shown.encode(None))
        time = np.arange(FRAMES * SOUND_RATE // RATE) / SOUND_RATE
        tone = av.AudioFrame.from_ndarray(
            (0.2 * np.sin(2000 * time * (1 + time)))[None].astype(np.float32), "fltp", "mono"
        )
        tone.sample_rate, tone.pts, tone.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
        for part in av.AudioResampler("fltp", "mono", SOUND_RATE, frame_size=1024).resample(tone):
            file.mux(sound.encode(part))
        file.mux(sound.encode(None))


def streams(path: Path) -> tuple[list[Fraction], list[bytes]]:
    """When each frame is shown, in seconds, and the packets of the sound as they are."""
    with av.open(str(path)) as file:
        times = sorted(p.pts * p.time_base for p in file.demux(video=0) if p.pts is not None)
    with av.open(str(path)) as file:
        return times, [bytes(p) for p in file.demux(audio=0) if p.size]


if __name__ == "__main__":
    main()
