"""An NTCIP 1203 sign without its wire: what it remembers, what it refuses, and what it shows. Time is a parameter."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import ceil

from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import (
    BLANK,
    CHANGEABLE,
    CURRENT_BUFFER,
    DARK,
    FOREVER,
    SCHEDULE,
    MessageName,
    checksum,
    read_activation,
    visible,
)
from bridge.simulators.fault import Fault
from bridge.simulators.ntcip_memory import (
    NOTHING,
    Done,
    Message,
    Refusal,
    Silence,
    Value,
    changed,
    columns,
    octets,
    whole,
)
from bridge.simulators.ntcip_multi_check import NOTHING_WRONG, SPACING, Face, fault_of

MESSAGES = 10  # places in its changeable memory; the last belongs to the road authority
OTHERS = MESSAGES
HEIGHT, LEADING = 7, 2  # pixels: of a line, between two lines
CENTRALLY, POWER_RECOVERY, RESET, COMM_LOSS, END_DURATION = 8, 10, 11, 12, 14  # who shows what stands there
LOCAL, CENTRAL = 2, 4
_NARROW, _WIDE = "!'(),.:;Iijl|`[]", "MWmw@%&"
_SUPPORTED = (1 << 3) | (1 << 6) | (1 << 7) | (1 << 10) | (1 << 11) | (1 << 12)

# What single signs of the field do otherwise than the standard says.
QUIRKS = frozenset(
    {
        "blank is zero",  # a dark sign names its message as memory 0
        "genErr on modify",  # it has done so all the same
        "badValue while validating",
        "hangs on communication loss time",
        "noSuchName when read-only",
        "has no dark message",  # the first edition had none
        "has no beacons",
        "keeps no owner",
        "refuses a longer time",
        "short datagrams",
    }
)


@dataclass
class SignState:
    """One sign: ``width`` × ``height`` pixels with a font of its own, or characters of a fixed size (``cell``).

    A ``cell`` without a width makes a sign of lines, in which each character has its own.
    """

    clock: Callable[[], float]  # seconds, monotonic
    width: int = 128
    height: int = 25
    cell: tuple[int, int] | None = None
    pages: int = 6
    octets: int = 1_500
    font_version: int = 0x4D2A  # a checksum; nought: it does not tell
    wider: int = 0  # pixels that each character is wider than in its first font
    quirks: Collection[str] = ()
    faults: set[Fault] = field(default_factory=set)
    activation_error: int = 0  # with what every activation is refused; nought: it is not
    syntax_error: int = 2  # what every text has, at octet 7
    alters: bool = False  # it stores another text than it was given
    memory: dict[int, Message] = field(default_factory=dict)
    shown: MessageName = DARK
    buffer: Message = NOTHING
    ends: float = float("inf")
    why: int = CENTRALLY  # dmsMsgSourceMode
    calendar: MessageName = DARK  # what its own calendar would show now
    checks_for: float = 0.0  # seconds that it takes to check a text
    checked: dict[int, float] = field(default_factory=dict)  # when it has checked which message
    heard: float = 0.0  # when it was last spoken to
    registers: dict[str, Value] = field(default_factory=dict)
    told: tuple[MessageName, bytes] | None = None  # what a liar says that it shows
    history: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start as a sign does that has just been mounted."""
        unset = {names.VALIDATE_ERROR: 2, names.ACTIVATE_ERROR: 2, names.SYNTAX_ERROR: 2, names.SYNTAX_POSITION: 0}
        dark = dict.fromkeys(_SETTABLE - {names.COMM_LOSS_TIME}, DARK.octets)
        self.registers = {**unset, names.OTHER_ERROR: b"", **dark, names.COMM_LOSS_TIME: 0}
        self.heard = self.clock()
        self.registers[f"{names.FONT_VERSION}.1"] = self.font_version

    @property
    def text(self) -> str:
        """Give what people can read on it now."""
        self._let_time_pass()
        return visible(self.buffer.multi)

    def get(self, name: str) -> Value | None:
        """Answer one question; ``None``: there is no such thing."""
        self._let_time_pass()
        self.heard = self.clock()
        if (value := self._fixed(name)) is not None:
            return value
        if name.startswith(f"{names.MESSAGE}."):
            return self._column(name)
        return self.registers.get(name)

    def set(self, values: Mapping[str, Value]) -> None:
        """Do all that is asked, or raise ``Refusal`` and do nothing."""
        self._let_time_pass()
        self.heard = self.clock()
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
        self._show_by_itself(names.SHORT_LOSS_MESSAGE, POWER_RECOVERY)

    def reset(self) -> None:
        """Begin anew without a loss of power."""
        self._show_by_itself(names.RESET_MESSAGE, RESET)

    def follow(self, text: str) -> None:
        """Let its own calendar show something."""
        self.overwrite(text)
        self.calendar, self.why = self.shown, names.SCHEDULER

    def overwrite(self, text: str) -> None:
        """Let the road authority show something of its own."""
        multi = text.replace("[", "[[").replace("]", "]]").encode("latin-1", "replace")
        self.memory[OTHERS] = Message(multi, b"Wegbeheerder", checksum(multi), priority=100, status=names.VALID)
        self._show(MessageName(CHANGEABLE, OTHERS, checksum(multi)), FOREVER)

    def _let_time_pass(self) -> None:
        patience = whole(self.registers[names.COMM_LOSS_TIME]) * 60
        if self.clock() >= self.ends:
            self._show_by_itself(names.END_DURATION_MESSAGE, END_DURATION)
        elif 0 < patience < self.clock() - self.heard and self.why != COMM_LOSS:
            self._show_by_itself(names.COMM_LOSS_MESSAGE, COMM_LOSS)

    def _show_by_itself(self, register: str, why: int) -> None:
        name = MessageName.read(octets(self.registers[register]))
        if name.memory != CURRENT_BUFFER:  # else what stands there goes on, for as long as it had
            self._show(name, FOREVER)
        self.why = why

    def _show(self, name: MessageName, minutes: int) -> None:
        """Show a message, if it is still what its name says; else nothing."""
        self.why = names.SCHEDULER if name.memory == SCHEDULE else CENTRALLY
        name = self.calendar if name.memory == SCHEDULE else name
        found = self.memory.get(name.number, NOTHING) if name.memory == CHANGEABLE else NOTHING
        good = found.status == names.VALID and found.crc == name.crc
        blank = name if name.memory == BLANK else DARK
        self.shown, self.buffer = (name, found) if good else (blank, replace(NOTHING, priority=blank.number))
        self.ends = float("inf") if minutes == FOREVER else self.clock() + minutes * 60
        self.history.append(visible(self.buffer.multi))

    def _fixed(self, name: str) -> Value | None:
        if attribute := _ATTRIBUTES.get(name):
            return int(getattr(self, attribute))
        match name:
            case names.CHARACTER_WIDTH | names.CHARACTER_HEIGHT:
                return (self.cell or (0, 0))[name == names.CHARACTER_HEIGHT]
            case names.CONTROL_MODE:
                return LOCAL if Fault.LOCAL in self.faults else CENTRAL
            case names.SOURCE:
                return self._seen()[0].octets
            case names.TIME_REMAINING:
                return FOREVER if self.ends == float("inf") else max(0, ceil((self.ends - self.clock()) / 60))
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
            if self.clock() < self.checked.get(number, 0):
                found = replace(found, status=names.VALIDATING)
        elif (memory, number) == (SCHEDULE, 1):
            found = self.memory.get(self.calendar.number, NOTHING) if self.calendar != DARK else NOTHING
        else:
            return None
        if column in _BEACONS and "has no beacons" in self.quirks:
            return None
        return columns(found).get(column)

    def _glyph(self, code: int) -> int:
        """Give the width of a character, nought where the font has none."""
        char = chr(code)
        if not (0x20 <= code < 0x7F or 0xC0 <= code < 0x100) or char in "×÷":
            return 0
        return self.wider + (3 if char in _NARROW or char == " " else 7 if char in _WIDE else 5)

    def _set(self, name: str, value: Value) -> None:
        if name == names.ACTIVATE:
            self._activate(octets(value))
        elif name == names.TIME_REMAINING and "refuses a longer time" in self.quirks:
            raise Refusal("genErr")
        elif name == names.TIME_REMAINING:
            self.ends = float("inf") if value == FOREVER else self.clock() + whole(value) * 60
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
            self._set_status(number, found, whole(value))
        elif found.status != names.MODIFYING:
            raise Refusal("genErr")
        elif column in _BEACONS and "has no beacons" in self.quirks:
            raise Refusal("noSuchName")
        elif column != names.OWNER or "keeps no owner" not in self.quirks:
            self.memory[number] = changed(found, column, value)

    def _set_status(self, number: int, found: Message, order: int) -> None:
        if self.clock() < self.checked.get(number, 0):
            raise Refusal("badValue")
        if order == names.VALIDATE and self.checks_for:
            self.checked[number] = self.clock() + self.checks_for
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
        if self.syntax_error != NOTHING_WRONG:
            return self.syntax_error, 7
        cell = self.cell[0] if self.cell else 0
        wide = (lambda code: cell if self._glyph(code) else 0) if cell else self._glyph
        return fault_of(multi, Face(self.width, self._rows, self.pages, wide, 0 if cell else SPACING))

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
        if fault != NOTHING_WRONG or self.activation_error:
            raise Refusal("genErr")
        self._show(name, minutes)
        self.told = self.shown, self.buffer.multi

    def _refusal_of(self, name: MessageName, priority: int) -> int:
        """Give dmsActivateMsgError; 2: none."""
        if self.activation_error:
            return self.activation_error
        if Fault.LOCAL in self.faults:
            return 9
        if Fault.REFUSES in self.faults or priority < self.buffer.priority:
            return 3
        if name.memory == BLANK and "has no dark message" not in self.quirks:
            return 2 if name.crc == 0 else 7
        if name.memory == SCHEDULE:
            return 2 if name.crc == self.calendar.crc else 7
        if name.memory != CHANGEABLE:
            return 5
        found = self.memory.get(name.number, NOTHING)
        if found.status != names.VALID or self.clock() < self.checked.get(name.number, 0):
            return 4
        return 2 if found.crc == name.crc else 7


_FONT: Mapping[str, Value] = {
    names.FONTS: 1,
    names.DEFAULT_FONT: 1,
    f"{names.FONT_NUMBER}.1": 1,
    f"{names.FONT_HEIGHT}.1": HEIGHT,
    f"{names.FONT_SPACING}.1": SPACING,
    f"{names.FONT_LINE_SPACING}.1": LEADING,
    f"{names.FONT_NAME}.1": b"5 x 7",
    names.SUPPORTED_TAGS: struct.pack("<I", _SUPPORTED),
    names.MAX_CHANGEABLE: MESSAGES,
}
_ATTRIBUTES = {
    names.SIGN_WIDTH: "width",
    names.SIGN_HEIGHT: "height",
    names.MAX_PAGES: "pages",
    names.MAX_LENGTH: "octets",
    names.SOURCE_MODE: "why",
}
_FIXED = (
    *(names.SIGN_WIDTH, names.SIGN_HEIGHT, names.CHARACTER_WIDTH, names.CHARACTER_HEIGHT, names.MAX_PAGES),
    *(names.MAX_LENGTH, names.CONTROL_MODE, names.SOURCE, names.SOURCE_MODE, names.TIME_REMAINING),
    *_FONT,
)
_BEACONS = (names.BEACON, names.PIXEL_SERVICE)
_SPEAKING = (names.VALIDATE_ERROR, names.ACTIVATE_ERROR, names.SYNTAX_ERROR, names.SYNTAX_POSITION)
_SETTABLE = frozenset(
    {
        *(names.SHORT_LOSS_MESSAGE, names.LONG_LOSS_MESSAGE, names.COMM_LOSS_MESSAGE),
        *(names.COMM_LOSS_TIME, names.END_DURATION_MESSAGE, names.RESET_MESSAGE),
    }
)
