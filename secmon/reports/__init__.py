"""The monthly report: told from stored intervals, archived as a model, rendered from the archive alone."""
