"""What ships for Grafana and Prometheus, and the code that writes the dashboard. No part of the installed programme."""
