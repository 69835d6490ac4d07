"""Two networks as one picture: what was added, removed and changed."""
