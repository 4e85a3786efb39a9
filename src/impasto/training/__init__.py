"""The one trainer of all model families, its checkpoints and its reports."""
