"""The words of the matrix, Dutch and English."""

from __future__ import annotations

WORDS: dict[str, dict[str, str]] = {
    "nl": {
        "title": "Wat waar getoond mag worden",
        "lead": "Deze bladzijde zegt voor elke soort melding, elk kanaal en elke soort eigenaar of een melding daar mag"
        " komen, en welke regel dat bepaalt. Zij is gemaakt uit de regels waarmee de koppeling werkt.",
        "read": "Zo leest u de tabel",
        "allow": "ja", "deny": "nee", "partly": "soms",
        "allow_means": "mag; wat erbij staat, gaat alleen over de foto",
        "deny_means": "mag niet",
        "partly_means": "hangt af van wat erbij staat",
        "number": "Het nummer verwijst naar de regel die beslist, in de lijst onder de tabel: eerst die voor een echte,"
        " dringende melding in het Nederlands zonder foto, dan die voor andere gevallen.",
        "order": "Eerst gelden de vaste regels; niemand kan ze uitzetten. Dan geldt elke regel die verbiedt. Verbiedt"
        " niets het, dan moet een regel het toestaan. Anders mag het niet. Een beëindiging mag altijd.",
        "status": "Oefeningen en tests gaan alleen naar doelen die ze aannemen.",
        "beyond": "Daarna kijkt de koppeling nog of een doel in het gebied ligt, een taal van de melding leest en de"
        " tekst in zijn geheel kan tonen.",
        "category": "soort melding", "channel": "kanaal", "owner": "eigenaar", "verdict": "besluit", "by": "regel",
        "serves": "afspraken", "reason": "reden", "hangs_on": "hangt af van",
        "no_photo": "zonder foto", "photo_hangs_on": "foto hangt af van", "when": "geldt bij", "nr": "nr",
        "what": "zegt", "deciders": "Wat beslist", "always": "alle gevallen",
        "says_allow": "mag", "says_deny": "mag niet", "says_photo": "foto mag niet",
        "invariant": "vaste regel", "default": "geen regel", "rule": "regel",
        "findings": "Let op: in de regels is iets mis", "scroll": "Tabel: schuif opzij om alle kolommen te zien",
        "skip": "Naar de tabel",
        "signed": "Akkoord", "signed_lead": "Ondergetekende heeft deze regels gezien en gaat ermee akkoord.",
        "name": "Naam", "role": "Functie", "date": "Datum", "signature": "Handtekening",
        "made": "Gemaakt op", "digest": "Kenmerk van regels, doelen en teksten",
    },
    "en": {
        "title": "What may be shown where",
        "lead": "For each kind of alert, each channel and each kind of owner this page says whether an alert may go"
        " there, and which rule decides. It is made from the rules that the bridge works by.",
        "read": "How to read the table",
        "allow": "yes", "deny": "no", "partly": "some",
        "allow_means": "may go; what stands beside it is about the photo only",
        "deny_means": "may not go",
        "partly_means": "hangs on what stands beside it",
        "number": "The number leads to the rule that decides, in the list below the table: first the one for a real and"
        " urgent alert in Dutch without a photo, then those for other cases.",
        "order": "The fixed rules come first; nobody can switch them off. Then every rule that denies holds. Where"
        " nothing denies it, a rule must allow it. Else it may not go. An ending may always go.",
        "status": "Exercises and tests go only to targets that accept them.",
        "beyond": "After that the bridge looks whether a target lies in the area, reads a language of the alert, and"
        " can show the whole text.",
        "category": "kind of alert", "channel": "channel", "owner": "owner", "verdict": "verdict", "by": "rule",
        "serves": "agreements", "reason": "reason", "hangs_on": "hangs on",
        "no_photo": "without a photo", "photo_hangs_on": "photo hangs on", "when": "holds for", "nr": "no.",
        "what": "says", "deciders": "What decides", "always": "all cases",
        "says_allow": "may go", "says_deny": "may not go", "says_photo": "no photo",
        "invariant": "fixed rule", "default": "no rule", "rule": "rule",
        "findings": "Mind: something is wrong in the rules", "scroll": "Table: scroll sideways to see all columns",
        "skip": "To the table",
        "signed": "Agreed", "signed_lead": "The undersigned has seen these rules and agrees with them.",
        "name": "Name", "role": "Position", "date": "Date", "signature": "Signature",
        "made": "Made on", "digest": "Mark of rules, targets and texts",
    },
}  # fmt: skip
