"""The deterministic simulation: the real intake, store code and dispatcher in a world that one seed decides."""
