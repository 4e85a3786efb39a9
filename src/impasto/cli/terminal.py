"""What belongs on a terminal, and what does not."""


class Stopped(Exception):
    """Ctrl-C, with a message about what is left of the work."""


def one_line(text: object) -> str:
    """Make one line of plain text: names and recipes come from anyone, and may hold what moves the cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(str(text).split()))
