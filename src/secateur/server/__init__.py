"""The server: HTTP, WebSocket and Wyoming in front of a recogniser."""
