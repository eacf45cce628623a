"""Where hostile bytes are decoded: child processes that can be killed, and that is all they are."""
