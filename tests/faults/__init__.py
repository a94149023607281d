"""Real faults against real processes: what breaks is broken for real, and the places that were meant tell what they saw."""
