"""Telling people: rendered mails wait in the outbox and leave by a channel; sent is written after it happened."""
