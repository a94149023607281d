"""The servers that development and tests need, each run as an ordinary background process."""
