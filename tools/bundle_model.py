"""Put a trained run into the package: fp16 weights, settings, figures and a card, under src/impasto/assets/models/.

    impasto evaluate RUN --data mnist -o figures.json
    python tools/bundle_model.py RUN mnist-gan figures.json --command "impasto train gan --data mnist"

The figures, and the SHA-256 in them, are those of the run's float32 weights, of which the bundled ones are a rounding,
unless `--measured` says otherwise. What was measured besides goes on the card with `--also "WHAT IT IS=FILE"`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from impasto.bundled import ASSETS
from impasto.training import checkpoint, export


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("figures", type=Path, help="what `impasto evaluate` wrote")
    parser.add_argument("--command", required=True, help="that made the run")
    parser.add_argument("--machine", default="one core of an AMD EPYC (AVX-512 bf16)")
    parser.add_argument("--measured", default="", help="where and on what weights, such as ', on the float32 weights'")
    parser.add_argument(
        "--also", action="append", default=[], metavar="WHAT=FILE", help="further figures, for the card"
    )
    parser.add_argument("--guidance", type=float, help="of drawing, where none is asked for; chosen after the training")
    args = parser.parse_args()

    folder = ASSETS / "models" / args.name
    folder.mkdir(parents=True, exist_ok=True)
    config, weights = checkpoint.load(args.run)
    if args.guidance is not None:
        config["config"]["guidance"] = args.guidance
    figures = json.loads(args.figures.read_text()) | {"model": args.name}
    export.weights(config, weights, folder / checkpoint.WEIGHTS, half=True)
    (folder / checkpoint.CONFIG).write_text(checkpoint.config_text(config))
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    last = json.loads((args.run / "metrics.jsonl").read_text().splitlines()[-1])
    shown = [(f"Figures on the test set, as `impasto evaluate` gives them, of one training{args.measured}", figures)]
    for what, _, file in (each.rpartition("=") for each in args.also):
        shown.append((what, json.loads(Path(file).read_text())))
    (folder / "card.md").write_text(card(args.name, config, shown, last, args.command, args.machine))
    print(folder, f"{sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.2f} MB")


def card(
    name: str, config: dict, shown: list[tuple[str, dict[str, Any]]], last: dict, command: str, machine: str
) -> str:
    """The model's card: data, command, seed, time, and each of the figures `shown` under what they are."""
    rows = {
        "family": f"{config['family']}, preset {config['preset']}, {config['parameters']:,} parameters, float16",
        "licence": "Apache-2.0 (the weights; the data set has its own terms and is not included)",
        "data": f"{config['data']['name']}, {config['data']['pictures']:,} training pictures",
        "command": f"`{command}`",
        "seed": config["training"]["seed"],
        "training": f"{last['step']:,} steps of {config['training']['batch']} pictures "
        f"({last['epoch']:.1f} epochs), {last['seconds'] / 60:.3g} minutes on {machine}",
    }
    if (guidance := config["config"].get("guidance", 1.0)) != 1:
        rows["drawing"] = f"with guidance {guidance:g} unless another is asked for, which was chosen after the training"
    lines = [f"# {name}", "", "| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items()), ""]
    for what, figures in shown:
        lines += [
            f"{what}:",
            "",
            "```json",
            json.dumps({k: v for k, v in figures.items() if k != "model"}, indent=1),
            "```",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
