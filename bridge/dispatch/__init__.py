"""How differences are closed: steps, photos, and the clock."""
