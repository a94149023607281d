"""Where things are in a sign (NTCIP 1203 v03, node ``1.3.6.1.4.1.1206.4.2.3``), and what its numbers say."""

from __future__ import annotations

ROOT = "1.3.6.1.4.1.1206.4.2.3"

CHARACTER_HEIGHT, CHARACTER_WIDTH = f"{ROOT}.2.1.0", f"{ROOT}.2.2.0"
SIGN_HEIGHT, SIGN_WIDTH = f"{ROOT}.2.3.0", f"{ROOT}.2.4.0"
FONTS = f"{ROOT}.3.1.0"
FONT_NUMBER, FONT_HEIGHT, FONT_SPACING, FONT_LINE_SPACING = (f"{ROOT}.3.2.1.{column}" for column in (2, 4, 5, 6))
FONT_NAME, FONT_VERSION = f"{ROOT}.3.2.1.3", f"{ROOT}.3.2.1.7"  # the version is a checksum of all its characters
GLYPH_WIDTH = f"{ROOT}.3.4.1.2"
DEFAULT_FONT = f"{ROOT}.4.5.0"
SUPPORTED_TAGS, MAX_PAGES, MAX_LENGTH = (f"{ROOT}.4.{number}.0" for number in (14, 15, 16))
MESSAGE = f"{ROOT}.5.8.1"
MULTI, OWNER, CRC, BEACON, PIXEL_SERVICE, PRIORITY, STATUS = range(3, 10)  # columns of a message
MAX_CHANGEABLE, VALIDATE_ERROR = f"{ROOT}.5.3.0", f"{ROOT}.5.9.0"
CONTROL_MODE, ACTIVATE, TIME_REMAINING, SOURCE, SOURCE_MODE = (f"{ROOT}.6.{number}.0" for number in (1, 3, 4, 5, 7))
SHORT_LOSS_MESSAGE, LONG_LOSS_MESSAGE, COMM_LOSS_MESSAGE, COMM_LOSS_TIME = (f"{ROOT}.6.{n}.0" for n in (8, 9, 12, 13))
RESET_MESSAGE, END_DURATION_MESSAGE = f"{ROOT}.6.11.0", f"{ROOT}.6.15.0"
ACTIVATE_ERROR, SYNTAX_ERROR, SYNTAX_POSITION, OTHER_ERROR = (f"{ROOT}.6.{number}.0" for number in (17, 18, 19, 20))

CENTRAL = frozenset({4, 5})  # control modes in which a sign listens to us: central, centralOverride
SCHEDULER = 9  # the source mode of what the sign's own calendar shows
MODIFYING, VALIDATING, VALID, ERROR, MODIFY, VALIDATE, UNUSED = 2, 3, 4, 5, 6, 7, 8  # of a message's status
NEW_LINE_TAG, NEW_PAGE_TAG, PAGE_TIME_TAG = 10, 11, 12  # bits of the supported tags

OTHER, NONE = 1, 2  # of every error
ACTIVATE_ERRORS = {
    OTHER: "it has a reason that the standard has no word for (other)",
    NONE: "it gives no reason (none)",
    3: "a more important message stands there (priority)",
    4: "the message is not valid there (messageStatus)",
    5: "its memory does not take this message (messageMemoryType)",
    6: "it has no message of this number (messageNumber)",
    7: "its checksum differs (messageCRC)",
    8: "it does not understand the text (syntaxMULTI)",
    9: "someone controls it on the spot (localMode)",
    10: "it takes us for someone on the spot, and listens to its central computer only (centralMode)",
    11: "it takes us for someone on the spot, whom its central computer overrides (centralOverrideMode)",
}
NO_SUCH_MESSAGE = frozenset({4, 5, 6, 7, 8})  # of those: another message may be shown; the rest may pass by itself
VALIDATE_ERRORS = {
    OTHER: "a fault that the standard has no word for (other)",
    3: "the beacons are not supported",
    4: "the pixel service is not supported",
    5: "it does not understand the text (syntaxMULTI)",
}
MULTI_ERRORS = {
    OTHER: "a fault of the text that the standard has no word for (other)",
    3: "a tag is not supported",
    4: "a tag's value is not supported",
    5: "the text is too big",
    6: "the font is not defined",
    7: "a character is not defined",
    8: "the field device does not exist",
    9: "the field device fails",
    10: "flashing regions do not fit",
    11: "tags conflict",
    12: "there are too many pages",
    13: "the font is another version",
    14: "the graphic is another version",
    15: "the graphic is not defined",
}


def column(number: int, memory: int, message: int) -> str:
    """Name one column of one message."""
    return f"{MESSAGE}.{number}.{memory}.{message}"
