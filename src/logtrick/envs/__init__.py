"""Environments: the protocol, the core's own, and one adapter per ecosystem."""
