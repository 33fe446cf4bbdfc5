"""XMP sidecars: keywords in a file beside an image, as photo managers read them; the image is never touched.

A sidecar that is there is changed by insertion alone, at places that expat finds: whatever else it holds, its
comments, prefixes and white space, stays byte for byte.
"""

from __future__ import annotations

import codecs
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape

from devise import __version__, storage
from devise.spelling import folded

RDF, DC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/dc/elements/1.1/"
LIGHTROOM, DIGIKAM = "http://ns.adobe.com/lightroom/1.0/", "http://www.digikam.org/ns/1.0/"
# dc:subject is the standard's; where a sidecar has these too, Lightroom, darktable and digiKam read them in its place
LISTS = ((DC, "subject"), (LIGHTROOM, "hierarchicalSubject"), (DIGIKAM, "TagsList"))
CONTAINERS = ("Bag", "Seq", "Alt")
WRITTEN, MERGED, UNCHANGED = "written", "merged", "unchanged"
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def sidecar_of(picture: str | os.PathLike) -> Path:
    """Where the sidecar of an image lies: "cat.jpg.xmp", which darktable and digiKam write.

    "cat.xmp", as Adobe's programs call it, where there is one and it can be no other file's.

    >>> sidecar_of("pictures/cat.jpg").name
    'cat.jpg.xmp'
    """
    picture = Path(picture)
    own, short = picture.with_name(f"{picture.name}.xmp"), picture.with_suffix(".xmp")
    if os.path.lexists(own) or not os.path.lexists(short):
        return own
    others = [path for path in picture.parent.iterdir() if path.stem == picture.stem and path not in (picture, short)]
    return own if others else short


def write_keywords(picture: str | os.PathLike, keywords: Iterable[str]) -> str:
    """Write keywords to the sidecar of an image, into `dc:subject`; those that it has already are left as they are.

    The lists of Lightroom and digiKam get them too where the sidecar has these, since then they are read in place of
    dc:subject; a new sidecar has dc:subject alone.

    Args:
        picture: the image file, which is neither read nor changed.
        keywords: without them nothing is written.
    Returns:
        "written" for a new sidecar, "merged" where keywords were added to one, "unchanged" where it had them all.
    Raises:
        ValueError: if a sidecar is there that is no XMP, or is damaged; it stays as it is.
        OSError: if it can't be read or written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [write_keywords(f"{folder}/cat.jpg", words) for words in (["cat"], ["cat", "sofa"], ["Sofa"])]
    ['written', 'merged', 'unchanged']
    """
    path = sidecar_of(picture)
    wanted: dict[str, str] = {}
    for keyword in keywords:
        shown = " ".join("".join(sign if sign.isprintable() else " " for sign in keyword).split())
        if shown:
            wanted.setdefault(folded(shown), shown)
    if not wanted:
        return UNCHANGED
    if path.is_symlink() or os.path.lexists(path) and not path.is_file():
        raise ValueError(f"{path} is a link or no file: it is left alone")
    if not path.exists():
        with storage.atomic_path(path) as temporary:
            temporary.write_text(NEW.format(version=__version__, dc=DC, rdf=RDF, items="\n".join(
                f"     <rdf:li>{escape(keyword)}</rdf:li>" for keyword in wanted.values())), encoding="utf-8")
        return WRITTEN
    stamp, content = storage.stamp(path), path.read_bytes()
    try:
        new = merged(content, wanted.values())
    except ValueError as error:
        raise ValueError(f"{path} {error}: it is left as it is") from error
    if new == content:
        return UNCHANGED
    with storage.atomic_path(path) as temporary:
        temporary.write_bytes(new)
        shutil.copymode(path, temporary)
        if storage.stamp(path) != stamp:
            raise OSError(f"{path} was changed meanwhile by another program: it is left as it is")
    return MERGED


def merged(content: bytes, keywords: Iterable[str]) -> bytes:
    """The content of a sidecar with keywords added to its lists, all else byte for byte as it was.

    Raises:
        ValueError: if it is no XMP, or damaged, or has a list in a form that can't be added to.
    """
    found, keywords = _Sidecar(content), list(keywords)
    insertions = []
    for namespace, name in LISTS:
        known = found.lists.get((namespace, name))
        if known is not None:
            missing = [keyword for keyword in keywords if folded(keyword) not in known.items]
            if missing:
                text = "".join(f"{known.before}<{known.item}>{escape(keyword)}</{known.item}>" for keyword in missing)
                insertions.append((known.last, known.last, text) if known.last else known.container.inside(text))
        elif (namespace, name) == LISTS[0]:
            items = "".join(f"<rdf:li>{escape(keyword)}</rdf:li>" for keyword in keywords)
            insertions.append(found.description.inside(
                f'<dc:subject xmlns:dc="{DC}"><rdf:Bag xmlns:rdf="{RDF}">{items}</rdf:Bag></dc:subject>'))
    for start, end, text in sorted(insertions, reverse=True):
        content = content[:start] + text.encode(found.encoding) + content[end:]
    return content


class _Element:
    """An element of the file: its tag as it is written, with the prefix, and the offsets of its two tags."""

    def __init__(self, content, encoding, start):
        self._content, self._encoding, self.start, self.end = content, encoding, start, start
        closing = content.index(">".encode(encoding), start)
        self.tag = content[start:closing].decode(encoding)[1:].split()[0].rstrip("/")
        self._slash, self._after = (sign.encode(encoding) for sign in "/>")

    @property
    def _head(self):
        """The offset of the > of the start tag, and whether that is all of the element."""
        closing = _closing(self._content, self._encoding, self.start)
        return closing, self._content[closing - len(self._slash):closing] == self._slash

    @property
    def after(self):
        """The offset behind the element."""
        closing, empty = self._head
        return (closing if empty else _closing(self._content, self._encoding, self.end)) + len(self._after)

    def inside(self, text):
        """(start, end, text) of the change that puts a text before the end tag."""
        closing, empty = self._head
        if not empty:
            return self.end, self.end, text
        return closing - len(self._slash), closing + len(self._after), f">{text}</{self.tag}>"


def _closing(content, encoding, start):
    """The offset of the > that ends a tag; one within quotes does not."""
    quote, width = "", len(" ".encode(encoding))
    for place in range(start, len(content), width):
        sign = content[place:place + width]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in ('"'.encode(encoding), "'".encode(encoding)):
            quote = sign
        elif sign == ">".encode(encoding):
            return place
    raise ValueError("ends within a tag")


class _List:
    """A list of keywords: items folded, container, where the last ends, how one is written and what precedes it.

    In a `nested` one "trips|holiday" and "trips/holiday" are the keyword "holiday" below another.
    """

    def __init__(self, nested):
        self.nested = nested
        self.items, self.container, self.last, self.item, self.before = set(), None, 0, "", ""


class _Sidecar:
    """Where in the bytes of a sidecar its lists of keywords are, found by expat."""

    def __init__(self, content):
        self._content = content
        self.encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
        self.lists, self.description, self._rdf = {}, None, None
        self._open, self._list, self._text = [], None, None
        parser = self._parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler, parser.XmlDeclHandler = self._said, self._declared
        parser.StartDoctypeDeclHandler = self._refused
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            raise ValueError(f"is no XML, or damaged ({error})") from error
        if self._rdf is None:
            raise ValueError("holds no rdf:RDF, so that it is no XMP")
        if self.description is None:
            raise ValueError("holds no rdf:Description")

    def _declared(self, version, encoding, standalone):
        if encoding and encoding.lower() not in ("utf-8", "us-ascii", "utf-16"):
            raise ValueError(f"is encoded in {encoding}: expected UTF-8")

    def _refused(self, *about):
        raise ValueError("has a document type, which no XMP has")

    def _start(self, name, attributes):
        element = _Element(self._content, self.encoding, self._parser.CurrentByteIndex)
        namespace, _, local = name.rpartition(" ")
        above = [one for one, _ in self._open[-2:]]
        if name == f"{RDF} RDF" and self._rdf is None:
            self._rdf = element
        elif name == f"{RDF} Description" and above[-1:] == [f"{RDF} RDF"]:
            if strange := [f"{space} {known}" for space, known in LISTS if f"{space} {known}" in attributes]:
                raise ValueError(f"has {strange[0].rpartition(' ')[2]} as an attribute and not as a list")
            self.description = self.description or element
        elif (namespace, local) in LISTS and above == [f"{RDF} RDF", f"{RDF} Description"]:
            if (namespace, local) in self.lists:
                raise ValueError(f"has {local} twice")
            self._list = self.lists[namespace, local] = _List(nested=namespace != DC)
        elif self._list is not None and not self._list.container and name in [f"{RDF} {kind}" for kind in CONTAINERS]:
            self._list.container = element
            prefix, colon, _ = element.tag.rpartition(":")
            self._list.item = f"{prefix}{colon}li"
        elif self._list is not None and name == f"{RDF} li":
            self._text = ""
            before = self._content[:element.start].decode(self.encoding, "replace")
            self._list.before = before[len(before.rstrip()):]
        self._open.append((name, element))

    def _said(self, text):
        if self._text is not None:
            self._text += text

    def _end(self, name):
        _, element = self._open.pop()
        element.end = self._parser.CurrentByteIndex
        namespace, _, local = name.rpartition(" ")
        if self._text is not None and name == f"{RDF} li":
            keyword = folded(" ".join(self._text.split()))
            self._list.items |= {keyword, re.split("[|/]", keyword)[-1]} if self._list.nested else {keyword}
            self._list.last = element.after
            self._text = None
        elif self._list is not None and (namespace, local) in LISTS:
            if self._list.container is None:
                raise ValueError(f"has {local} in another form than a list")
            self._list = None


NEW = """\
<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="devise {version}">
 <rdf:RDF xmlns:rdf="{rdf}">
  <rdf:Description rdf:about="" xmlns:dc="{dc}">
   <dc:subject>
    <rdf:Bag>
{items}
    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
