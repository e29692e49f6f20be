"""Webhooks, delivered: a process of its own, without models, so that no receiver can hold up a picture."""
