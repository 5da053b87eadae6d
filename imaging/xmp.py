"""XMP packets: our properties read out of one, and written into one.

A packet is RDF (ISO 16684-1). It is copied piece by piece as it was, so everything
else that stands in it keeps its names, its order and its meaning.
"""

from collections.abc import Mapping
from html import escape
from typing import Final
from xml.parsers import expat

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
#: A property's name: its namespace, the prefix to write it with, its local name.
Name = tuple[str, str, str]

_META: Final = "adobe:ns:meta/"
_MOST_DEPTH: Final = 64
_BEGIN: Final = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_END: Final = '<?xpacket end="w"?>'
_EMPTY: Final = (
    f'<x:xmpmeta xmlns:x="{_META}"><rdf:RDF xmlns:rdf="{RDF}">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>'
).encode()


class Unreadable(ValueError):
    """A packet is no XMP: not XML, without RDF, too deep, or with a DTD."""


def read(packet: bytes, names: Mapping[str, Name]) -> dict[str, str]:
    """Return the simple properties of a packet that ``names`` asks for, by its keys;
    those that are missing or empty are left out. Raises Unreadable."""
    walk = _Walk(packet, names, {})
    return {key: value for key, value in walk.found.items() if value}


def written(
    packet: bytes, names: Mapping[str, Name], values: Mapping[str, str]
) -> bytes:
    """Return the packet with these values, each once, and all else as it was.

    ``values`` replaces every property of ``names`` that it has a value for. A packet
    that cannot be read is replaced by a new one: it would hide the values from any
    reader.
    """
    wanted = {key: names[key] for key in values}
    try:
        body = _Walk(packet, wanted, values).text()
    except Unreadable:
        body = _Walk(_EMPTY, wanted, values).text()
    return f"{_BEGIN}{body}{_END}".encode()


class _Walk:
    """One pass over a packet: collects the wanted properties and copies the rest."""

    def __init__(
        self, packet: bytes, names: Mapping[str, Name], values: Mapping[str, str]
    ) -> None:
        self.found: dict[str, str] = {}
        self._keys = {(space, local): key for key, (space, _, local) in names.items()}
        self._values = [(names[key], value) for key, value in values.items()]
        self._out: list[str] = []
        self._scopes: list[dict[str, str]] = [{}]
        #: the path to here, as (namespace, local name)
        self._path: list[tuple[str, str]] = []
        self._key: str | None = None
        self._skipped = 0
        self._placed = False
        self._parse(packet)

    def text(self) -> str:
        """Return what was copied."""
        return "".join(self._out)

    def _parse(self, packet: bytes) -> None:
        parser = expat.ParserCreate()
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._chars
        # Writers pad packets with spaces, some with zeros.
        packet = packet.strip(b"\0 \t\r\n")
        try:
            parser.Parse(packet, True)
        except expat.ExpatError as error:
            raise Unreadable("It is not XML.") from error
        if not self._placed:
            raise Unreadable("It holds no description.")

    def _doctype(self, *_: object) -> None:
        raise Unreadable("It has a DTD.")

    def _start(self, tag: str, given: list[str]) -> None:
        attributes = list(zip(given[::2], given[1::2], strict=True))
        scope = dict(self._scopes[-1])
        for name, value in attributes:
            if name == "xmlns" or name.startswith("xmlns:"):
                scope[name.partition(":")[2]] = value
        self._scopes.append(scope)
        self._path.append(self._resolved(tag))
        if len(self._path) > _MOST_DEPTH:
            raise Unreadable("It is nested too deeply.")
        if self._skipped or self._is_ours():
            self._skipped += 1
            return
        kept = [pair for pair in attributes if not self._take(*pair)]
        shown = "".join(f' {name}="{_attribute(value)}"' for name, value in kept)
        self._out.append(f"<{tag}{shown}>")
        if self._in_description() and not self._placed:
            self._placed = True
            self._out += [_property(name, value) for name, value in self._values]

    def _end(self, tag: str) -> None:
        self._path.pop()
        self._scopes.pop()
        if self._skipped:
            self._skipped -= 1
            return
        self._out.append(f"</{tag}>")

    def _chars(self, text: str) -> None:
        if not self._skipped:
            self._out.append(escape(text, quote=False))
        elif self._key is not None:
            self.found[self._key] += text.strip()

    def _in_description(self) -> bool:
        """Are we in a description that stands directly under the RDF?"""
        return self._path[-2:] == [(RDF, "RDF"), (RDF, "Description")]

    def _is_ours(self) -> bool:
        """Does a wanted property begin here?"""
        self._key = None
        if self._path[-3:-1] != [(RDF, "RDF"), (RDF, "Description")]:
            return False
        key = self._keys.get(self._path[-1])
        if key is None:
            return False
        self._key = key
        self.found[key] = ""
        return True

    def _take(self, name: str, value: str) -> bool:
        """Take a wanted property that is written as an attribute."""
        if not self._in_description() or ":" not in name:
            return False
        key = self._keys.get(self._resolved(name))
        if key is not None:
            self.found[key] = value
        return key is not None

    def _resolved(self, name: str) -> tuple[str, str]:
        prefix, _, local = name.rpartition(":")
        return self._scopes[-1].get(prefix, ""), local


def _property(name: Name, value: str) -> str:
    space, prefix, local = name
    tag = f"{prefix}:{local}"
    return f'<{tag} xmlns:{prefix}="{space}">{escape(_printable(value))}</{tag}>'


def _attribute(value: str) -> str:
    shown = escape(value)
    for sign in "\t\n\r":
        shown = shown.replace(sign, f"&#{ord(sign)};")
    return shown


def _printable(value: str) -> str:
    """Return the text without what XML cannot hold."""
    return "".join(sign for sign in value if sign.isprintable())
