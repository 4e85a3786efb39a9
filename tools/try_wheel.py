"""Try what would be published: `make wheel-test` builds the wheel and uses it in an empty environment.

The wheel holds the files of src/, its licence, and nothing else. Installed into a fresh environment, far from this
folder, it draws a picture with each of the things that need its assets.
"""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Of files that belong into the package.
KINDS = (".py", ".typed", ".safetensors", ".json", ".jpg", ".md", ".html", ".css", ".js")
COMMANDS = (  # and the file that each must leave; "" if none
    ("--version", ""),
    ("doctor", ""),
    ("demo --size 96 -o demo.png", "demo.png"),
    ("style demo.png ink --quality draft -o draft.png", "draft.png"),
    ("texture wave --width 64 --height 64 --steps 2 -o texture.png", "texture.png"),
    ("sample mnist-vae -n 4 -o digits.png", "digits.png"),
    ("sample mnist-diffusion -n 2 --set steps=2 -o noise.gif", "noise.gif"),
    ("classify --model mnist-cnn digits.png", ""),
    ("inspect digits.png", ""),
    ("models list", ""),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        programs = folder / "venv" / "bin"
        run(programs / "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
        (wheel,) = folder.glob("*.whl")
        check_contents(wheel)
        run(programs / "pip", "install", "--quiet", "--no-compile", "-c", ROOT / "constraints.txt", wheel)
        (folder / "empty").mkdir()
        for line, made in COMMANDS:
            print(f"impasto {line}", flush=True)
            run(programs / "impasto", *line.split(), cwd=folder / "empty")
            if made and not (folder / "empty" / made).stat().st_size:
                sys.exit(f"{made} is empty")
    print(f"{wheel.name}: all is well")


def check_contents(wheel: Path) -> None:
    """Ends the program where the wheel lacks a file, or has one too many."""
    files = [path.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*") if path.is_file()]
    wanted = {path.as_posix() for path in files if path.suffix in KINDS}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    about = next(name for name in names if name.endswith(".dist-info/METADATA")).removesuffix("METADATA")
    wanted |= {about + name for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    if names != wanted:
        sys.exit(f"{wheel.name} lacks {sorted(wanted - names)} and has {sorted(names - wanted)} too many")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1e6:.1f} MB", flush=True)


def run(*words: str | Path, cwd: Path = ROOT) -> None:
    """Run a program; its failure ends this one."""
    if (code := subprocess.run([*map(str, words)], cwd=cwd).returncode) != 0:
        sys.exit(f"{' '.join(map(str, words))} ended with {code}")


if __name__ == "__main__":
    main()
