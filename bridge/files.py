"""Reads the files of an administrator, YAML or JSON, and remembers on which line everything stands."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from bridge.core.errors import InvalidInput
from bridge.core.events import Place, faults, once
from bridge.core.font import BadFont, Font, read_font
from bridge.core.words import nearest

MAX_LEVELS = 50  # of a YAML file
MAX_NODES = 1_000_000  # that aliases may make of a small file; without them a file may be as long as it is
MAX_FAULTS = 500  # of one file that are told

_UNREADABLE = (yaml.YAMLError, ValueError, RecursionError)
# What PyYAML raises for a value that its tag does not fit ("!!timestamp x", "!!int ''", 2026-02-31).
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Document:
    """What a file says, and where: ``nodes`` is the tree that YAML made of it; a JSON file has none."""

    path: Path
    value: Any
    nodes: Any = None

    def line(self, place: Place) -> int | None:
        """Tell on which line something stands; what is not there is looked for where it should be."""
        line, node = None, self.nodes
        for part in (None, *place):
            key, node = (node, node) if part is None else _within(node, part)
            if key is None:
                break
            line = key.start_mark.line + 1
        return line

    def at(self, place: Place) -> str:
        """Name the file, and the line where it has one."""
        line = self.line(place)
        return f"{self.path}:{line}" if line else str(self.path)

    def faults(self, error: ValidationError, model: type[BaseModel], place: Place = (), who: str = "") -> list[str]:
        """Say each fault that ``model`` found in what stands at ``place``: file, line, whose, field, what may be."""
        found = []
        for inner, text in faults(error, MAX_FAULTS):
            line = text
            if text.endswith("is not a known key") and (near := nearest(str(inner[-1]), keys_of(model, inner[:-1]))):
                line = f"{text}; nearest: {near}"
            found.append(f"{self.at((*place, *inner))}: {who}{line}")
        return found


def keys_of(model: type[BaseModel], place: Place) -> set[str]:
    """Name the keys that a model knows at a place within it."""
    inner: Any = model
    for part in place:
        if isinstance(part, str) and inner is not None:
            inner = _model_in(inner.model_fields[part].annotation) if part in inner.model_fields else None
    return set() if inner is None else set(inner.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the model of a field, or of the items of its list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _within(node: Any, part: str | int) -> tuple[Any, Any]:
    """Find what stands under a key or at a position: the node that has its line, and the one that holds it."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), (None, None))
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None, None


def read_yaml(path: Path) -> Any:
    """Read a YAML (or JSON) file safely; one clear line when it cannot be read."""
    return read_document(path).value


def read_document(path: Path) -> Document:
    """Read a YAML (or JSON) file safely, with its lines; ``InvalidInput`` has one clear line when it cannot be read."""
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".json":
            return Document(path, json.loads(text, object_pairs_hook=once))
        return _parse(path, text)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read ({error.strerror})") from None
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from None
    except _UNREADABLE as error:
        where = getattr(error, "problem_mark", None)
        at = f"{path}:{where.line + 1}" if where else str(path)
        what = getattr(error, "problem", None) or "".join(str(error).splitlines()[:1]) or type(error).__name__
        raise InvalidInput(f"{at}: is not valid: {what}") from None


def _parse(path: Path, text: str) -> Document:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return Document(path, None if node is None else loader.construct_document(node), node)
    finally:
        loader.dispose()


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(yaml.composer.Composer, _Base):  # type: ignore[misc]
    """A safe loader that refuses what harms in silence: a key that stands twice, and a small file that becomes huge.

    The composer is the one in Python: the other one nests in C, and a file of brackets overruns its stack.
    """

    def __init__(self, stream: Any) -> None:
        """Begin with nothing read."""
        _Base.__init__(self, stream)
        yaml.composer.Composer.__init__(self)
        self._open: list[_Extent] = []
        self._known: dict[int, _Extent] = {}  # of each node that is complete, by its id

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Read one node, whose extent counts with every alias written out."""
        if self.check_event(yaml.AliasEvent):
            node: Any = super().compose_node(parent, index)
            extent = self._known.get(id(node))
            if extent is None:
                raise yaml.composer.ComposerError(None, None, "an alias stands within what it names", node.start_mark)
        else:
            extent = _Extent()
            self._open.append(extent)
            self._bound(len(self._open), self.peek_event().start_mark)
            node = super().compose_node(parent, index)
            self._known[id(node)] = self._open.pop()
        if self._open:
            outer = self._open[-1]
            outer.nodes += extent.nodes
            outer.levels = max(outer.levels, extent.levels + 1)
            self._bound(len(self._open) + extent.levels, node.start_mark)
            if outer.nodes > max(MAX_NODES, 10 * len(self._known)):
                raise yaml.composer.ComposerError(None, None, "aliases make the file too large", node.start_mark)
        return node

    def _bound(self, levels: int, mark: Any) -> None:
        if levels > MAX_LEVELS:
            raise yaml.composer.ComposerError(None, None, f"more than {MAX_LEVELS} levels deep", mark)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Build one value."""
        try:
            return super().construct_object(node, deep=deep)
        except _UNFIT:
            what = f"not a value of the kind {node.tag.rpartition(':')[2]!r}"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from None

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Build a mapping; every key once."""
        if not isinstance(node, yaml.MappingNode):  # "!!set [x]"
            raise yaml.constructor.ConstructorError(None, None, "expected keys and values", node.start_mark)
        seen = set()
        for key in [self.construct_object(key, deep=True) for key, _ in node.value]:
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
            seen.add(key if isinstance(key, str) else None)
        return super().construct_mapping(node, deep=deep)


@dataclass
class _Extent:
    """How large a node is with every alias in it written out."""

    nodes: int = 1
    levels: int = 1


OWN_FONT = Path(__file__).parent / "fonts" / "burgernet.bdf"
MAX_FONT = 16 * 1024 * 1024  # bytes


def load_font(path: Path) -> Font:
    """Read a board's font (BDF); ``InvalidInput`` says what is wrong with it."""
    try:
        size = path.stat()
        if size.st_size > MAX_FONT:
            raise InvalidInput(f"{path}: has {size.st_size} bytes; allowed: {MAX_FONT}")
        return _load_font(path, size.st_mtime_ns, size.st_size)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read ({error.strerror})") from None
    except BadFont as error:
        raise InvalidInput(f"{path}: is no BDF font: {error}") from None


@lru_cache(maxsize=16)  # a thousand boards have a few fonts; one that was written anew is another
def _load_font(path: Path, _written: int, _size: int) -> Font:
    data = path.read_bytes()
    return read_font(data.decode("latin-1"), hashlib.sha256(data).hexdigest())
