"""The office's asset ledger (情報資産台帳): read a table, understand its columns, say what it would change."""
