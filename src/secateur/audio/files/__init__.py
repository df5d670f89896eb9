"""Audio files as bytes: opened, recognised by their first bytes, and divided into the recordings they hold."""
