"""Reading a Grafana dashboard: its panels and what each asks Prometheus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from secmon.resources import dashboards_dir

FOLDER = dashboards_dir() / "grafana" / "dashboards"


def dashboard(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def queries(path: Path, **variables: str) -> dict[str, str]:
    """Title → expression, with the variables filled in as Grafana would."""
    return {panel["title"]: filled(panel["targets"][0]["expr"], **variables) for panel in dashboard(path)["panels"]}


def filled(expression: str, **variables: str) -> str:
    for name, value in variables.items():
        expression = expression.replace(f"${name}", value)
    return expression
