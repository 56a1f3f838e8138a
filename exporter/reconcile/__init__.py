"""What polls cannot see: Tasks deleted or untagged, writes that became visible long after their stamps, new names."""
