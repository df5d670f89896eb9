"""The server: what OpenAI's client, a WebSocket, Prometheus and a browser ask of a recogniser."""
