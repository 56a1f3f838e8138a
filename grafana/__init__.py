"""What ships for Grafana and Prometheus, and the dashboard's panels as code. No part of the installed program."""
