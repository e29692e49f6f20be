"""Which Troupe this is."""

VERSION = "0.1.0"
