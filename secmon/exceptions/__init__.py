"""What is failing and borne with: exceptions that somebody approved (例外措置), answers that are disputed (誤検知)."""
