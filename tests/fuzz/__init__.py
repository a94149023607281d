"""Hostile input: everything that reads from outside, fed with what an attacker or a broken peer would send."""
