"""An NTCIP 1203 sign without its wire: what it remembers, what it refuses, and what it shows. Time is a parameter."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import (
    BLANK,
    CHANGEABLE,
    CURRENT_BUFFER,
    DARK,
    FOREVER,
    MessageName,
    checksum,
    read_activation,
    visible,
)
from bridge.simulators.fault import Fault

Value = int | bytes
MESSAGES = 10  # places in its changeable memory; the last belongs to the road authority
OTHERS = MESSAGES
HEIGHT, SPACING, LEADING = 7, 1, 2  # pixels: of a line, between two characters, between two lines
LOCAL, CENTRAL = 2, 4
_NARROW, _WIDE = "!'(),.:;Iijl|`[]", "MWmw@%&"
_TAG = re.compile(rb"\[\[|\]\]|\[([^\[\]]*)\]|[\[\]]")
_KNOWN_TAG = re.compile(rb"(nl|np|pt[0-9]{1,3}(o[0-9]{1,3})?|[jJ][lp][1-5]|fo1?)", re.IGNORECASE)
_SUPPORTED = (1 << 3) | (1 << 6) | (1 << 7) | (1 << 10) | (1 << 11) | (1 << 12)

# What single signs of the field do otherwise than the standard says.
QUIRKS = frozenset(
    {
        "blank is zero",  # a dark sign names its message as memory 0
        "genErr on modify",  # it has done so all the same
        "badValue while validating",
        "hangs on communication loss time",
        "noSuchName when read-only",
    }
)


class Refusal(Exception):
    """A SET that is refused: the name of the SNMP error."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class Silence(Exception):
    """No answer is given."""


@dataclass(frozen=True)
class Message:
    """One message in a sign's memory."""

    multi: bytes = b""
    owner: bytes = b""
    crc: int = 0
    beacon: int = 0
    pixel_service: int = 0
    priority: int = 0
    status: int = 1


NOTHING = Message()


@dataclass
class SignState:
    """One sign: ``width`` × ``height`` pixels with a font of its own, or characters of a fixed size (``cell``)."""

    clock: Callable[[], float]  # seconds, monotonic
    width: int = 128
    height: int = 25
    cell: tuple[int, int] | None = None
    pages: int = 6
    octets: int = 1_500
    font_version: int = 0x4D2A  # a checksum; nought: it does not tell
    quirks: Collection[str] = ()
    faults: set[Fault] = field(default_factory=set)
    activation_error: int = 2  # what every activation meets; 2: none
    syntax_error: int = 2  # what every text has, at octet 7
    alters: bool = False  # it stores another text than it was given
    memory: dict[int, Message] = field(default_factory=dict)
    shown: MessageName = DARK
    buffer: Message = NOTHING
    ends: float = float("inf")
    registers: dict[str, Value] = field(default_factory=dict)
    told: tuple[MessageName, bytes] | None = None  # what a liar says that it shows
    history: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start as a sign does that has just been mounted."""
        unset = {names.VALIDATE_ERROR: 2, names.ACTIVATE_ERROR: 2, names.SYNTAX_ERROR: 2, names.SYNTAX_POSITION: 0}
        lost = (names.SHORT_LOSS_MESSAGE, names.LONG_LOSS_MESSAGE, names.COMM_LOSS_MESSAGE, names.END_DURATION_MESSAGE)
        self.registers = {**unset, **dict.fromkeys(lost, DARK.octets), names.COMM_LOSS_TIME: 0}
        self.registers[f"{names.FONT_VERSION}.1"] = self.font_version

    @property
    def text(self) -> str:
        """Give what people can read on it now."""
        self._let_time_pass()
        return visible(self.buffer.multi)

    def get(self, name: str) -> Value | None:
        """Answer one question; ``None``: there is no such thing."""
        self._let_time_pass()
        if (value := self._fixed(name)) is not None:
            return value
        if name.startswith(f"{names.MESSAGE}."):
            return self._column(name)
        return self.registers.get(name)

    def set(self, values: Mapping[str, Value]) -> None:
        """Do all that is asked, or raise ``Refusal`` and do nothing."""
        self._let_time_pass()
        if Fault.REJECTS in self.faults:
            raise Refusal("noSuchName" if "noSuchName when read-only" in self.quirks else "notWritable")
        before = dict(self.memory), dict(self.registers)
        try:
            for name, value in values.items():
                self._set(name, value)
        except Done:
            raise
        except Refusal:
            self.memory, kept = before[0], self.registers
            self.registers = before[1] | {key: kept[key] for key in _SPEAKING}
            raise

    def names(self) -> Iterator[str]:
        """Name everything that can be asked."""
        yield from _FIXED
        for code in range(32, 256):
            if self._glyph(code):
                yield f"{names.GLYPH_WIDTH}.1.{code}"
        for memory, number in ((CURRENT_BUFFER, 1), *((CHANGEABLE, number) for number in range(1, MESSAGES + 1))):
            for column in range(names.MULTI, names.STATUS + 1):
                yield names.column(column, memory, number)
        yield from self.registers

    def reboot(self) -> None:
        """Lose power for a moment: what was set for that is shown then."""
        self._show(MessageName.read(_octets(self.registers[names.SHORT_LOSS_MESSAGE])), FOREVER)

    def overwrite(self, text: str) -> None:
        """Let the road authority show something of its own."""
        multi = text.replace("[", "[[").replace("]", "]]").encode("latin-1", "replace")
        self.memory[OTHERS] = Message(multi, b"Wegbeheerder", checksum(multi), priority=100, status=names.VALID)
        self._show(MessageName(CHANGEABLE, OTHERS, checksum(multi)), FOREVER)

    def _let_time_pass(self) -> None:
        if self.clock() >= self.ends:
            self._show(MessageName.read(_octets(self.registers[names.END_DURATION_MESSAGE])), FOREVER)

    def _show(self, name: MessageName, minutes: int) -> None:
        """Show a message, if it is still what its name says; else nothing."""
        found = self.memory.get(name.number, NOTHING) if name.memory == CHANGEABLE else NOTHING
        good = found.status == names.VALID and found.crc == name.crc
        self.shown, self.buffer = (name, found) if good else (DARK, NOTHING)
        self.ends = float("inf") if minutes == FOREVER else self.clock() + minutes * 60
        self.history.append(visible(self.buffer.multi))

    def _fixed(self, name: str) -> Value | None:
        match name:
            case names.SIGN_WIDTH:
                return self.width
            case names.SIGN_HEIGHT:
                return self.height
            case names.CHARACTER_WIDTH | names.CHARACTER_HEIGHT:
                return 0 if self.cell is None else self.cell[name == names.CHARACTER_HEIGHT]
            case names.MAX_PAGES:
                return self.pages
            case names.MAX_LENGTH:
                return self.octets
            case names.CONTROL_MODE:
                return LOCAL if Fault.LOCAL in self.faults else CENTRAL
            case names.SOURCE:
                return self._seen()[0].octets
            case names.TIME_REMAINING:
                return FOREVER if self.ends == float("inf") else max(0, round((self.ends - self.clock()) / 60))
        if name.startswith(f"{names.GLYPH_WIDTH}.1."):
            return self._glyph(int(name.rpartition(".")[2])) or None
        return _FONT.get(name)

    def _seen(self) -> tuple[MessageName, bytes]:
        """Give what it says that it shows."""
        if Fault.LIES in self.faults and self.told:
            return self.told
        if self.shown.is_blank and "blank is zero" in self.quirks:
            return MessageName(0, 0, 0), b""
        return self.shown, self.buffer.multi

    def _column(self, name: str) -> Value | None:
        column, memory, number = map(int, name.removeprefix(f"{names.MESSAGE}.").split("."))
        if memory == CURRENT_BUFFER and number == 1:
            if column == names.MULTI:
                return self._seen()[1]
            found = replace(self.buffer, status=names.VALID)
        elif memory == CHANGEABLE and 1 <= number <= MESSAGES:
            found = self.memory.get(number, NOTHING)
        else:
            return None
        return _columns(found).get(column)

    def _glyph(self, code: int) -> int:
        """Give the width of a character, nought where the font has none."""
        char = chr(code)
        if not (0x20 <= code < 0x7F or 0xC0 <= code < 0x100) or char in "×÷":
            return 0
        return 3 if char in _NARROW or char == " " else 7 if char in _WIDE else 5

    def _set(self, name: str, value: Value) -> None:
        if name == names.ACTIVATE:
            self._activate(_octets(value))
        elif name == names.TIME_REMAINING:
            self.ends = float("inf") if value == FOREVER else self.clock() + _whole(value) * 60
        elif name == names.COMM_LOSS_TIME and value and "hangs on communication loss time" in self.quirks:
            self.faults.add(Fault.UNREACHABLE)
            raise Silence
        elif name in _SETTABLE:
            self.registers[name] = value
        elif name.startswith(f"{names.MESSAGE}."):
            self._set_column(name, value)
        else:
            raise Refusal("notWritable")

    def _set_column(self, name: str, value: Value) -> None:
        column, memory, number = map(int, name.removeprefix(f"{names.MESSAGE}.").split("."))
        if memory != CHANGEABLE or not 1 <= number <= MESSAGES:
            raise Refusal("notWritable")
        found = self.memory.get(number, NOTHING)
        if column == names.STATUS:
            self._set_status(number, found, _whole(value))
        elif found.status != names.MODIFYING:
            raise Refusal("genErr")
        else:
            self.memory[number] = _changed(found, column, value)

    def _set_status(self, number: int, found: Message, order: int) -> None:
        self.memory[number] = self._ordered(found, order)
        if order == names.MODIFY and "genErr on modify" in self.quirks:
            raise Done("genErr")
        if order == names.VALIDATE and "badValue while validating" in self.quirks:
            raise Done("badValue")

    def _ordered(self, found: Message, order: int) -> Message:
        match order:
            case names.UNUSED:
                return NOTHING
            case names.MODIFY:
                return replace(found, status=names.MODIFYING)
            case names.VALIDATE if found.status == names.MODIFYING:
                fault, position = self._fault_of(found.multi)
                self.registers[names.SYNTAX_ERROR], self.registers[names.SYNTAX_POSITION] = fault, position
                self.registers[names.VALIDATE_ERROR] = 2 if fault == 2 else 5
                status = names.VALID if fault == 2 else names.ERROR
                multi = found.multi.swapcase() if self.alters else found.multi
                return replace(
                    found, multi=multi, status=status, crc=checksum(multi, found.beacon, found.pixel_service)
                )
            case _:
                raise Refusal("badValue")

    def _fault_of(self, multi: bytes) -> tuple[int, int]:
        """Find what is wrong with a text, as dmsMultiSyntaxError and its position say it; 2: nothing."""
        if self.syntax_error != 2:
            return self.syntax_error, 7
        position, used, lines, pages = 0, 0, 1, 1
        while position < len(multi):
            match = _TAG.match(multi, position)
            if match is None or match[0] in (b"[[", b"]]"):
                wide = self.cell[0] if self.cell else self._glyph(multi[position])
                if not wide or multi[position] < 32:
                    return 7, position
                used += wide + (0 if self.cell or not used else SPACING)
                position += 2 if match else 1
                if used > self.width:
                    return 5, position
                continue
            if match[1] is None or not _KNOWN_TAG.fullmatch(match[1]):
                return 3, position
            tag = match[1].lower()
            if tag in (b"nl", b"np"):
                used, lines, pages = 0, lines + 1 if tag == b"nl" else 1, pages + (tag == b"np")
            if lines > self._rows:
                return 5, position
            if pages > self.pages:
                return 12, position
            position = match.end()
        return 2, 0

    @property
    def _rows(self) -> int:
        return self.height // self.cell[1] if self.cell else (self.height + LEADING) // (HEIGHT + LEADING)

    def _activate(self, code: bytes) -> None:
        try:
            name, minutes, priority = read_activation(code)
        except ValueError:
            raise Refusal("wrongLength") from None
        fault = self._refusal_of(name, priority)
        self.registers[names.ACTIVATE_ERROR] = fault
        if fault != 2:
            raise Refusal("genErr")
        self._show(name, minutes)
        self.told = self.shown, self.buffer.multi

    def _refusal_of(self, name: MessageName, priority: int) -> int:
        """Give dmsActivateMsgError; 2: none."""
        if self.activation_error != 2:
            return self.activation_error
        if Fault.LOCAL in self.faults:
            return 9
        if Fault.REFUSES in self.faults or priority < self.buffer.priority:
            return 3
        if name.memory == BLANK:
            return 2
        if name.memory != CHANGEABLE:
            return 5
        found = self.memory.get(name.number, NOTHING)
        if found.status != names.VALID:
            return 4
        return 2 if found.crc == name.crc else 7


class Done(Refusal):
    """The sign did as it was told, and says that it did not."""


def _changed(found: Message, column: int, value: Value) -> Message:
    match column:
        case names.MULTI:
            return replace(found, multi=_octets(value))
        case names.OWNER:
            return replace(found, owner=_octets(value))
        case names.BEACON:
            return replace(found, beacon=_whole(value))
        case names.PIXEL_SERVICE:
            return replace(found, pixel_service=_whole(value))
        case names.PRIORITY:
            return replace(found, priority=_whole(value))
    raise Refusal("notWritable")


def _columns(found: Message) -> dict[int, Value]:
    return {
        names.MULTI: found.multi,
        names.OWNER: found.owner,
        names.CRC: found.crc,
        names.BEACON: found.beacon,
        names.PIXEL_SERVICE: found.pixel_service,
        names.PRIORITY: found.priority,
        names.STATUS: found.status,
    }


def _octets(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise Refusal("wrongType")
    return value


def _whole(value: Value) -> int:
    if not isinstance(value, int):
        raise Refusal("wrongType")
    return value


_FONT: Mapping[str, Value] = {
    names.FONTS: 1,
    names.DEFAULT_FONT: 1,
    f"{names.FONT_NUMBER}.1": 1,
    f"{names.FONT_HEIGHT}.1": HEIGHT,
    f"{names.FONT_SPACING}.1": SPACING,
    f"{names.FONT_LINE_SPACING}.1": LEADING,
    f"{names.FONT_NAME}.1": b"5 x 7",
    names.SUPPORTED_TAGS: struct.pack("<I", _SUPPORTED),
    names.SOURCE_MODE: 8,
}
_FIXED = (
    *(names.SIGN_WIDTH, names.SIGN_HEIGHT, names.CHARACTER_WIDTH, names.CHARACTER_HEIGHT, names.MAX_PAGES),
    *(names.MAX_LENGTH, names.CONTROL_MODE, names.SOURCE, names.TIME_REMAINING),
    *_FONT,
)
_SPEAKING = (names.VALIDATE_ERROR, names.ACTIVATE_ERROR, names.SYNTAX_ERROR, names.SYNTAX_POSITION)
_SETTABLE = frozenset(
    {
        *(names.SHORT_LOSS_MESSAGE, names.LONG_LOSS_MESSAGE, names.COMM_LOSS_MESSAGE),
        *(names.COMM_LOSS_TIME, names.END_DURATION_MESSAGE),
    }
)
