"""How to run the exporter elsewhere: Kubernetes by kustomize, and what writes its generated file."""
