"""All tests; the folders are the layers."""
