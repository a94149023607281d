"""Runs templates so that a slip in one cannot reach beyond its words, hold up the bridge, or fill its memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from threading import local
from typing import Any, TypeVar

from jinja2 import FunctionLoader, StrictUndefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import TemplateRuntimeError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

SUFFIX = ".j2"
STEPS = 10_000  # calls and turns of loops in one message
LENGTH = 1_000_000  # characters of one message; a mail has some thousands

T = TypeVar("T")


class TooMuch(TemplateRuntimeError):
    """A template takes more steps, or gives more text, than any message needs."""


class _Steps(local):
    """What is left for the message that this thread makes."""

    left = STEPS


class _Counting(CodeGenerator):
    """Compiles loops so that each of their turns is counted."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802 (Jinja's name)
        """Loop over what ``Sandbox.counted`` lets through."""
        if node.recursive:
            self.fail("a loop cannot be recursive", node.lineno)
        count = nodes.EnvironmentAttribute("counted", lineno=node.lineno)
        node.iter = nodes.Call(count, [node.iter], [], None, None, lineno=node.lineno)
        super().visit_For(node, frame)


class Sandbox(ImmutableSandboxedEnvironment):
    """Compiles the templates of ``sources`` (name to text), and runs them within bounds."""

    code_generator_class = _Counting
    # Two signs are enough to make a number or a text that fills a machine.
    intercepted_binops = frozenset({"*", "**"})

    def __init__(self, sources: Mapping[str, str]) -> None:
        super().__init__(
            loader=FunctionLoader(lambda name: (sources[name], name, None) if name in sources else None),
            autoescape=lambda name: name is not None and name.endswith(f".html{SUFFIX}"),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
        )
        self._steps = _Steps()

    def run(self, name: str, words: Mapping[str, object]) -> str:
        """Render a template; raise ``TooMuch`` when it takes more than ``STEPS`` or gives more than ``LENGTH``."""
        self._steps.left = STEPS
        parts, length = [], 0
        for part in self.get_template(name).generate(words):
            length += len(part)
            if length > LENGTH:
                raise TooMuch(f"gives more than {LENGTH:,} characters")
            parts.append(part)
        return "".join(parts)

    def counted(self, items: Iterable[T]) -> Iterator[T]:
        """Give items until there have been too many."""
        for item in items:
            self._step()
            yield item

    def call(self, context: Context, called: Any, /, *args: Any, **named: Any) -> Any:
        """Call a macro, a block or a function, which is a step."""
        self._step()
        return super().call(context, called, *args, **named)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Multiply, when the outcome stays small."""
        if operator == "**":
            raise TooMuch("** is not allowed")
        if _size(left) * _size(right) > LENGTH:
            raise TooMuch(f"* gives more than {LENGTH:,}")
        return super().call_binop(context, operator, left, right)

    def _step(self) -> None:
        self._steps.left -= 1
        if self._steps.left < 0:
            raise TooMuch(f"takes more than {STEPS:,} steps")


def _size(value: Any) -> float:
    return len(value) if isinstance(value, Sized) else abs(value)
