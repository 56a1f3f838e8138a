"""The web server: /metrics, the page for people, health."""
