"""What protocols put on the wire, without the wire: shared by adapters and simulators, and pure."""
