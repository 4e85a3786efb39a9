"""The command `impasto`, also as `python -m impasto`: where the two faces meet, which do not know each other."""

from impasto.cli import STYLE_TRANSFER, app, main
from impasto.cli.places import checked
from impasto.web.command import web

app.command(rich_help_panel=STYLE_TRANSFER)(checked(web))

if __name__ == "__main__":
    main()
