"""Many pictures: every content with every style, on this machine's cores and GPUs or on a Ray cluster."""
