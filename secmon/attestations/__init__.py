"""What the office says of itself: answers to questions that no machine can answer, with date and person."""
