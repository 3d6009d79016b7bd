"""`python -m secmon_agent` is `secmon-agent`."""

from secmon_agent.cli import main

if __name__ == "__main__":
    main()
