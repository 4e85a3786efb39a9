"""The web page (Gradio): the same calls as the command line's, in tabs. `app.py` joins them."""
