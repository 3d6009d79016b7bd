"""What each command does, a module for each kind. Errors are `UsageError` and `Failure`."""
