"""Who is told what: transitions are decided upon once and become rendered deliveries in the same transaction."""
