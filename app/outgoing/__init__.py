"""Calls that the archive makes, and to whom it makes none.

addresses   may this address be connected to: the public ones, and what the settings list
sockets     a TCP connection to the address that was checked
client      a client for HTTP that connects so, with an end to what it takes and waits for
"""
