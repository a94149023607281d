"""What the bridge does when there is more than it can do at once: measured on the real process."""
