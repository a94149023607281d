"""The page at ``/``: plain HTML that any reader, screen readers included, can follow to the rest."""

from __future__ import annotations

from string import Template

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="$lang">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
</head>
<body>
<main>
<h1>$title</h1>
<p>$about</p>
<ul>
<li><a href="healthz">$health</a></li>
<li><a href="readyz">$ready</a></li>
<li><a href="metrics">$metrics</a></li>
</ul>
</main>
</body>
</html>
"""
)
_WORDS = {
    "nl": {
        "title": "Burgernet-brug",
        "about": "Deze dienst zet Burgernet-meldingen door en haalt ze weer weg. Hier is te zien hoe het ermee gaat.",
        "health": "Leeft de dienst?",
        "ready": "Is elk onderdeel gereed, en zo niet: waarom niet?",
        "metrics": "Meetwaarden voor Prometheus",
    },
    "en": {
        "title": "Burgernet bridge",
        "about": "This service passes on Burgernet alerts and takes them back. Here is how it is doing.",
        "health": "Is the service alive?",
        "ready": "Is every part ready, and if not: why not?",
        "metrics": "Figures for Prometheus",
    },
}


def home_page(language: str) -> str:
    """Give the page in Dutch (``nl``) or English (``en``)."""
    return _PAGE.substitute(_WORDS[language], lang=language)


def choose_language(header: str) -> str:
    """Choose ``nl`` or ``en`` by ``Accept-Language`` (RFC 9110, section 12.5.4): Dutch unless English is preferred."""
    weights = dict.fromkeys(_WORDS, 0.0)
    for item in header.split(","):
        tag, _, weight = item.replace(" ", "").lower().partition(";q=")
        name = tag.partition("-")[0]
        if name in weights:
            weights[name] = max(weights[name], _number(weight))
    return "en" if weights["en"] > weights["nl"] else "nl"


def _number(weight: str) -> float:
    try:
        return float(weight or 1)
    except ValueError:
        return 0.0
