"""The assistant in a browser: its routes and its page."""
