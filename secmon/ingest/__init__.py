"""From bytes at the door to rows in the database: admit, commit in batches, acknowledge."""
