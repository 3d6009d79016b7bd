"""What a WSUS says of the machines beside what they say of themselves, and why the two differ."""
