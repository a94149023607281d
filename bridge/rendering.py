"""Turns words into messages by the templates of a folder: ``<language>/<channel>/<phase>.{txt,html}.j2``.

Templates are read and compiled once. Files whose name begins with ``_`` are shared parts. All words are untrusted text:
HTML escapes them, and the sandbox keeps a template from reaching anything but them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import cache
from itertools import product
from pathlib import Path
from traceback import walk_tb

import structlog
from jinja2 import TemplateError, TemplateSyntaxError
from markupsafe import escape

from bridge.core.alert import Category, Outcome
from bridge.core.content import MARKS, Phase, Words, one_line
from bridge.core.errors import InvalidInput
from bridge.sandbox import SUFFIX, Sandbox, TooMuch

FALLBACK = "nl"
_MESSAGE = re.compile(r"([a-z]{2,3})/([A-Za-z0-9][A-Za-z0-9._-]*)/(opened|updated|ended)\.(txt|html)\.j2")

# What an expression in a template can raise; nothing else is the template's fault.
_FAULTS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,  # a number that is infinite; Jinja writes it down as a name
    RuntimeError,
    TypeError,
    ValueError,
)

_CHECKED: dict[str, list[str]] = {}  # the faults of the templates that were checked last, by their digest

log = structlog.get_logger(__name__)


class Templates:
    """The templates of one folder; a ``Renderer`` (see ``bridge.core.content``).

    ``digest`` is the SHA-256 (hex) of all template files. Raises ``InvalidInput`` when the folder does not exist, or
    a file in it cannot be read or compiled.
    """

    def __init__(self, directory: Path) -> None:
        self._sources = _read(directory)
        self.digest = _digest(self._sources)
        self._sandbox = Sandbox(self._sources)
        _compile(self._sandbox, self._sources)

    def render(self, channel: str, words: Words) -> tuple[str, str]:
        """Give the message as plain text and as HTML (empty when there is no HTML template).

        A language without a template gets the Dutch one. Raises ``InvalidInput`` that names the file; but an ending
        is always told (R9), by built-in words if it must be.
        """
        ending = words.phase is Phase.ENDED
        try:
            name = self._choose(channel, words)
            text = self._text(name, words)
        except InvalidInput as problem:
            if not ending:
                raise
            log.warning("ending told by built-in words", case=words.case, channel=channel, error=str(problem))
            return built_in_ending(words), ""
        try:
            return text, self._html(name, words)
        except InvalidInput as problem:
            if not ending:
                raise
            log.warning("ending told without html", case=words.case, channel=channel, error=str(problem))
            return text, ""

    def check(self) -> list[str]:
        """Render everything with every combination of words, and say each problem in one line.

        That takes a second or two, so a reload that brings the same files again is told what was found then.
        """
        if self.digest not in _CHECKED:
            found = self._check()
            _CHECKED.clear()
            _CHECKED[self.digest] = found
        return list(_CHECKED[self.digest])

    def _check(self) -> list[str]:
        problems = dict.fromkeys(self._misplaced())
        for name in sorted(self._sources):
            if match := _MESSAGE.fullmatch(name):
                problems |= dict.fromkeys(self._faults_of(name, Phase(match[3])))
        return list(problems)

    def _choose(self, channel: str, words: Words) -> str:
        """Name the message's template, without its form."""
        names = [f"{language}/{channel}/{words.phase}" for language in (words.language, FALLBACK)]
        for name in names:
            if f"{name}.txt{SUFFIX}" in self._sources:
                return name
        raise InvalidInput(f"templates: {names[-1]}.txt{SUFFIX} is missing")

    def _text(self, name: str, words: Words) -> str:
        file = f"{name}.txt{SUFFIX}"
        text = _plain(self._run(file, _variables(words)))
        if not text:
            raise InvalidInput(f"templates: {file}: gives an empty message")
        return text

    def _html(self, name: str, words: Words) -> str:
        file = f"{name}.html{SUFFIX}"
        return self._run(file, _variables(words)).strip() if file in self._sources else ""

    def _run(self, file: str, variables: Mapping[str, object]) -> str:
        try:
            return self._sandbox.run(file, variables)
        except _FAULTS as error:
            # Its own message may quote the alert, which belongs in no log (I6).
            raise InvalidInput(f"templates: {file}: {_place(error, file)}{type(error).__name__}") from error

    def _misplaced(self) -> Iterator[str]:
        """Find files that nothing uses, and messages that have no text."""
        places = set()
        for name in sorted(self._sources):
            if match := _MESSAGE.fullmatch(name):
                places |= {(match[1], match[2]), (FALLBACK, match[2])}
            elif not name.rpartition("/")[2].startswith("_"):
                yield f"templates: {name}: is used by nothing; messages are opened, updated and ended"
        if not places:
            yield f"templates: there is no {FALLBACK}/<channel>/<phase>.txt{SUFFIX}"
        for (language, channel), phase in product(sorted(places), Phase):
            file = f"{language}/{channel}/{phase}.txt{SUFFIX}"
            if file not in self._sources:
                yield f"templates: {file} is missing"

    def _faults_of(self, file: str, phase: Phase) -> Iterator[str]:
        html = file.endswith(f".html{SUFFIX}")
        for words, variables in _samples(phase):
            try:
                message = self._run(file, variables)
            except InvalidInput as problem:
                yield f"{problem}: {one_line(str(problem.__cause__))[:200]}"
                if isinstance(problem.__cause__, TooMuch):
                    return  # once is enough of that
                continue
            if html and _SAMPLE_TAG in message:
                yield f"templates: {file}, line {self._line(file, 'safe')}: lets words through unescaped"
            for part, value in _must_say(words, html=html):
                if value not in (message if html else _plain(message)):
                    yield f"templates: {file}, line {self._line(file, part)}: leaves out the {part}"

    def _line(self, file: str, word: str) -> int:
        """Find the line that has to do with a fault: the last that names what is missing, else the first."""
        lines = enumerate(self._sources[file].splitlines(), 1)
        return max((number for number, line in lines if word in line), default=1)


def _read(directory: Path) -> dict[str, str]:
    if not directory.is_dir():
        raise InvalidInput(f"templates: {directory} is not a folder")
    sources, problems = {}, []
    for path in sorted(directory.rglob(f"*{SUFFIX}")):
        try:
            sources[path.relative_to(directory).as_posix()] = path.read_text("utf-8")
        except OSError as error:
            problems.append(f"templates: {path}: cannot be read ({error.strerror})")
        except UnicodeDecodeError:
            problems.append(f"templates: {path}: is not UTF-8")
    if problems:
        raise InvalidInput(*problems)
    return sources


def _digest(sources: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name, source in sorted(sources.items()):
        digest.update(f"{name}\0{source}\0".encode())
    return digest.hexdigest()


def _compile(sandbox: Sandbox, names: Iterable[str]) -> None:
    """Compile all; the sandbox keeps them."""
    problems = []
    for name in names:
        try:
            sandbox.get_template(name)
        except TemplateSyntaxError as error:
            problems.append(f"templates: {name}, line {error.lineno}: {one_line(str(error.message))}")
        except (SyntaxError, *_FAULTS) as error:  # what Jinja lets pass and Python does not: too deep, too long
            problems.append(f"templates: {name}: cannot be compiled: {one_line(str(error))[:200]}")
    if problems:
        raise InvalidInput(*problems)


def _variables(words: Words) -> dict[str, object]:
    """Give a template its words, every line break as a plain one."""
    fields = asdict(words)
    return {name: "\n".join(value.splitlines()) if isinstance(value, str) else value for name, value in fields.items()}


def _plain(text: str) -> str:
    """Take away trailing blanks, blank lines above one in a row, and those at both ends."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")


def _place(error: BaseException, file: str) -> str:
    """Say where in the templates it went wrong; a shared part is named too."""
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    frames = [(name, line) for name, line in frames if name.endswith(SUFFIX)]
    if not frames:
        return ""
    name, line = frames[-1]
    return f"line {line}: " if name == file else f"{name}, line {line}: "


_ENDINGS = {
    "nl": {
        "mark": "Dit is geen echte melding.",
        "resolved": "Deze Burgernet-actie is beëindigd: de zaak is opgelost.",
        "unresolved": "Deze Burgernet-actie is beëindigd zonder resultaat.",
        "withdrawn": "Deze Burgernet-actie is ingetrokken. Het eerdere bericht geldt niet meer.",
    },
    "en": {
        "mark": "This is not a real alert.",
        "resolved": "This Burgernet alert has ended: the case is resolved.",
        "unresolved": "This Burgernet alert has ended without a result.",
        "withdrawn": "This Burgernet alert has been withdrawn. The earlier message no longer applies.",
    },
    "de": {
        "mark": "Dies ist keine echte Meldung.",
        "resolved": "Dieser Burgernet-Aufruf ist beendet: Der Fall ist gelöst.",
        "unresolved": "Dieser Burgernet-Aufruf ist ohne Ergebnis beendet.",
        "withdrawn": "Dieser Burgernet-Aufruf wurde zurückgezogen. Die frühere Nachricht gilt nicht mehr.",
    },
    "fr": {
        "mark": "Ceci n'est pas une véritable alerte.",
        "resolved": "Cette alerte Burgernet est terminée : l'affaire est résolue.",
        "unresolved": "Cette alerte Burgernet est terminée sans résultat.",
        "withdrawn": "Cette alerte Burgernet est retirée. Le message précédent n'est plus valable.",
    },
}


def built_in_ending(words: Words) -> str:
    """Tell how a case ended without any template: the least that readers of the alert must hear."""
    told = _ENDINGS.get(words.language, _ENDINGS[FALLBACK])
    parts = (
        f"{words.mark}. {told['mark']}" if words.mark else "",
        words.headline,
        told.get(words.outcome, ""),
        words.description,
        words.instruction,
        f"Burgernet-actie {words.case}",
    )
    return _plain("\n\n".join(parts))


_SAMPLE_TAG = "<i>"  # stands in every word, so that a template that does not escape is found out


@cache
def _samples(phase: Phase) -> list[tuple[Words, Mapping[str, object]]]:
    """Make every combination of what a template can branch on, with all words filled in and with as few as can be."""
    return [(words, _variables(words)) for words in _combinations(phase)]


def _combinations(phase: Phase) -> Iterator[Words]:
    outcomes = [outcome.value for outcome in Outcome] if phase is Phase.ENDED else [""]
    photos = [False] if phase is Phase.ENDED else [False, True]
    for category, outcome, photo, mark in product(Category, outcomes, photos, MARKS.values()):
        full = Words(
            case="2026112200042",
            phase=phase,
            language=FALLBACK,
            category=category.value,
            headline=f"Kop {_SAMPLE_TAG} & 'kop'",
            description=f"Omschrijving {_SAMPLE_TAG} van & wat",
            instruction=f"Oproep {_SAMPLE_TAG} om & te doen",
            sender=f"Meldkamer {_SAMPLE_TAG}",
            area=f"Leiden {_SAMPLE_TAG}",
            mark=mark,
            outcome=outcome,
            photo=photo,
        )
        yield full
        yield replace(full, sender="", area="", instruction="", description="" if outcome else full.description)


def _must_say(words: Words, *, html: bool) -> Iterator[tuple[str, str]]:
    """Name what no message may leave out; a page is also told from its like by the case."""
    needed = {"mark": words.mark, "description": words.description, "instruction": words.instruction}
    if words.phase is Phase.ENDED:
        needed["headline"] = words.headline
    if not html:
        needed["case"] = words.case
    for part, value in needed.items():
        yield part, str(escape(value)) if html else value
