"""Deployment: the whole stack on one machine without containers, its demo, and the container files."""
