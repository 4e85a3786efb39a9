"""Film and games: a sequence of frames in a style, with its timing and its sound, and a surface without a seam.

    python examples/film_and_game.py

writes runs/film/: a clip with sound (drawn here), the same painted, and what of it is unchanged; the frames of a
sequence painted into numbered frames; a game's surface. In a shell:

    impasto video shot.mp4 swirl -o painted.mp4
    impasto video frames/ swirl -o painted/frame_%05d.png --bits 16
    impasto texture stone.jpg --width 1024 --height 1024 --seamless both -o surface.png
"""

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from products import walk
from skimage import data

from impasto.bundled import ASSETS
from impasto.style.settings import Settings
from impasto.style.texture import Job as TextureJob
from impasto.style.texture import synthesising
from impasto.style.video import Job, TimedStyle, stylizing

OUT = Path("runs/film")
FRAMES, RATE, SOUND_RATE = 24, 24, 44_100


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)  # painted frames are never written over
    (OUT / "frames").mkdir(parents=True)
    frames = list(walk(FRAMES, Image.fromarray(data.rocket())))
    for number, frame in enumerate(frames, 1):
        frame.save(OUT / "frames" / f"shot_{number:04}.png")
    write_clip(OUT / "shot.mp4", frames)

    swirl = TimedStyle(ASSETS / "styles" / "swirl.jpg")
    for source, target in ((OUT / "shot.mp4", OUT / "painted.mp4"), (OUT / "frames", OUT / "painted")):
        *_, last = stylizing(Job(source, [swirl], target), Settings(quality="draft"))
        print(f"{target}: {last.number} frames, {last.speed:.1f} a second", flush=True)
    before, after = (streams(OUT / name) for name in ("shot.mp4", "painted.mp4"))
    print("frame times unchanged:", before[0] == after[0], "  sound unchanged:", before[1] == after[1])

    job = TextureJob([ASSETS / "styles" / "ink.jpg"], seamless="both", scale=0.7)
    *_, step = synthesising(job, Settings())
    step.result().save(OUT / "surface.png")
    print(OUT / "surface.png")


def write_clip(path: Path, frames: list[Image.Image]) -> None:
    """The frames as H.264, with a rising tone."""
    with av.open(str(path), "w") as file:
        picture = file.add_stream("libx264", rate=RATE, options={"crf": "14"})
        picture.width, picture.height, picture.pix_fmt = *frames[0].size, "yuv420p"
        sound = file.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for frame in frames:
            file.mux(picture.encode(av.VideoFrame.from_image(frame)))
        file.mux(picture.encode(None))
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
