"""YAML with its lines: plain values, and where each of them stands. No tag constructs an object."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from unetsearch.space.values import Scalar

SWITCH_WORDS = frozenset({"yes", "no", "on", "off", "y", "n"})
"""Words that older YAML takes for true and false; here they are an error, so that no name is lost that way."""

MAX_NODES = 20_000
"""More values than any study has; aliases of aliases would grow without end."""

MAX_WORDS = 100
"""So many characters of a value are shown in a message."""

MAX_DIGITS = 300
"""A longer number is read as a text."""

_NUMBER = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?")
_PLAIN_TAGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})


class Switch(str):
    """A bare `off`, `no`, `on` or `yes`."""


@dataclass(slots=True)
class Marked:
    """A value of the document, where it stands (`nuclei.yaml:9`), and a scalar's own text."""

    value: "Scalar | list[Marked] | dict[str, Marked]"
    where: str
    text: str = ""

    @property
    def words(self) -> str:
        """The value as an error message shows it."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        if self.value is None:
            return "nothing"
        if isinstance(self.value, bool):
            return str(self.value).lower()
        words = repr(str(self.value)) if isinstance(self.value, str) else repr(self.value)
        return words if len(words) <= MAX_WORDS else f"{words[:MAX_WORDS]}..."


class Marker:
    """Reads YAML text into Marked values and collects what is wrong with it."""

    def __init__(self, source: str, *, numbered: bool = True) -> None:
        self.source = source
        self.numbered = numbered
        self.problems: list[str] = []
        self._nodes = 0

    def read(self, text: str) -> Marked | None:
        """The document; None where nothing can be read of it."""
        try:
            node = yaml.compose(text, Loader=yaml.BaseLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = self.source if mark is None or not self.numbered else f"{self.source}:{mark.line + 1}"
            self.problems.append(f"{where}  not YAML: {error.problem or error.context}")
            return None
        except RecursionError:
            self.problems.append(f"{self.source}  not a study: brackets within brackets without end")
            return None
        except yaml.YAMLError as error:  # characters that YAML does not allow
            self.problems.append(f"{self.source}  not YAML: {str(error).splitlines()[0]}")
            return None
        if node is None:
            return Marked(None, self.source)
        return self._marked(node, "", ())

    def _marked(self, node: Node, path: str, above: tuple[int, ...]) -> Marked:
        where = f"{self.source}:{node.start_mark.line + 1}" if self.numbered else self.source
        self._nodes += 1
        if id(node) in above or self._nodes > MAX_NODES:
            if self._nodes <= MAX_NODES or not any("aliases" in problem for problem in self.problems):
                self.problems.append(
                    f"{where}  {path or 'document'}: aliases that contain themselves or grow too large"
                )
            return Marked(None, where)
        above = (*above, id(node))
        if node.tag not in _PLAIN_TAGS:
            self.problems.append(
                f"{where}  {path or 'document'}: the tag {node.tag} is not allowed; write a plain value"
            )
        if isinstance(node, SequenceNode):
            return Marked([self._marked(n, f"{path}[{i}]", above) for i, n in enumerate(node.value)], where)
        if isinstance(node, MappingNode):
            return Marked(dict(self._entries(node, path, above)), where)
        assert isinstance(node, ScalarNode)
        return Marked(scalar(str(node.value), plain=node.style is None), where, str(node.value))

    def _entries(self, node: MappingNode, path: str, above: tuple[int, ...]) -> Iterator[tuple[str, Marked]]:
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            where = f"{self.source}:{line}" if self.numbered else self.source
            if not isinstance(key, ScalarNode):
                self.problems.append(f"{where}  {path or 'document'}: expected a name before the colon")
                continue
            name = str(key.value)
            inner = f"{path}.{name}" if path else name
            if name in lines:
                self.problems.append(f"{where}  {inner}: given twice, first in line {lines[name]}; keep one")
                continue
            lines[name] = line
            marked = self._marked(value, inner, above)
            if isinstance(marked.value, dict | list):
                marked.where = where  # the line of the key, where a person looks
            yield name, marked


def scalar(text: str, *, plain: bool = True) -> Scalar:
    """The value of a scalar by YAML 1.2: `1e-3` is a number, `off` is no boolean; quoted it is a text."""
    if not plain:
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() in SWITCH_WORDS:
        return Switch(text)
    if len(text) <= MAX_DIGITS and _NUMBER.fullmatch(text):
        return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
    return text
