"""Put a trained any-style network into the package: fp16 weights and their card, under src/impasto/assets/.

impasto train anystyle --contents PHOTOS --styles PAINTINGS -o RUN
python tools/bundle_anystyle.py RUN --command "impasto train anystyle ..." --data "what the folders held"
"""

import argparse
import json
from pathlib import Path

from impasto.bundled import ASSETS
from impasto.training import checkpoint, export


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--command", required=True, help="that made the run")
    parser.add_argument("--data", required=True, help="what it learnt from, with licences")
    parser.add_argument("--machine", default="one core of an AMD EPYC (AVX-512 bf16)")
    args = parser.parse_args()

    config, weights = checkpoint.load(args.run)
    file = ASSETS / "anystyle.safetensors"
    export.weights(config, weights, file, half=True)
    lines = [json.loads(line) for line in (args.run / "metrics.jsonl").read_text().splitlines()]
    last, training = lines[-1], config["training"]
    held_out = next(line for line in reversed(lines) if "validation" in line)
    loss = ", ".join(f"{name} {value:.4f}" for name, value in held_out["validation"].items())
    rows = {
        "licence": "Apache-2.0",
        "size": f"{sum(w.numel() for w in weights.values()):,} parameters, float16, {file.stat().st_size / 1e6:.1f} MB",
        "task": "paint any content in any style in one pass, with little of the loss that quality `fine` minimises",
        "data": f"{args.data}. None of it is shipped",
        "command": f"`{args.command}`",
        "seed": training["seed"],
        "training": f"{last['step']:,} steps of {training['batch']} pairs, {config['config']['size']} pixels a side, "
        f"{last['seconds'] / 60:.0f} minutes on {args.machine}",
        "loss": f"at step {held_out['step']:,}, contents held out: {loss}",
    }
    text = ["# anystyle.safetensors", "", "The decoder of quality `draft` (`impasto/style/anystyle.py`).", ""]
    text += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items()), ""]
    (ASSETS / "anystyle.md").write_text("\n".join(text), encoding="utf-8")
    print(file, f"{file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
