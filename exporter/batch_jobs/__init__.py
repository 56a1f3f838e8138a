"""Batch jobs of Smile CDR's JSON Admin API: beside the Tasks, read by a thread of their own, off by default."""
