"""Results carried out of secmon: for programs, for spreadsheets, for other compliance tools."""
