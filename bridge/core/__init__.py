"""The pure core: no I/O, no clock, no event loop, no environment. Time is a parameter."""
