"""Parsers of what callers send, given anything: `targets` says what has to hold whatever it is.

The suite tries each with seeds and mutations of them; `make fuzz SECONDS=…` searches on, guided by
the branches that are taken.
"""
