"""What would other rules say of the machines as they are stored, and why do these rules say what they say."""
