"""The demonstration: the real bridge on embedded parts, simulators around it, and a story that checks itself."""
