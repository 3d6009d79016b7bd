"""What other scanners found, kept under their names beside our own answers."""
