"""How events come in: one use case, whatever carries them."""
