"""Keywords into sidecars of the shapes that photo managers write, read again with another parser than the writer's."""

import os
import stat
import xml.etree.ElementTree as ET

import pytest

from devise.datasets import sidecar_of, write_keywords
from devise.datasets.sidecars import DC, DIGIKAM, LIGHTROOM, RDF, merged

DARKTABLE = """\
<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:darktable="http://darktable.sf.net/"
   xmp:Rating="1"
   darktable:history_end="2"
   darktable:note="a &gt; b, &quot;quoted&quot;">
   <dc:subject>
    <rdf:Bag>
     <rdf:li>holiday</rdf:li>
     <rdf:li>Bread &amp; butter</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <lr:hierarchicalSubject>
    <rdf:Bag>
     <rdf:li>trips|holiday</rdf:li>
    </rdf:Bag>
   </lr:hierarchicalSubject>
   <darktable:history>
    <rdf:Seq>
     <rdf:li
      darktable:num="0"
      darktable:operation="rawprepare"
      darktable:params="000000f3"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
DIGIKAMS = """\
<?xml version="1.0" encoding="UTF-8" ?>
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<!-- kept by hand -->
<x:xmpmeta xmlns:x='adobe:ns:meta/'>
<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
 <r:Description r:about='' xmlns:dk='http://www.digikam.org/ns/1.0/' dk:PickLabel='0'>
  <dk:TagsList><r:Seq><r:li>People/Zoë</r:li></r:Seq></dk:TagsList>
 </r:Description>
 <r:Description r:about='' xmlns:d='http://purl.org/dc/elements/1.1/'><d:title><r:Alt>
   <r:li xml:lang='x-default'><![CDATA[Sun & sea]]></r:li></r:Alt></d:title>
  <d:subject><r:Bag/></d:subject></r:Description>
</r:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""
ADOBE = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 5.6">
   <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description rdf:about="a>b"
            xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Exposure2012="+0.50" />
   </rdf:RDF>
</x:xmpmeta>
%s
<?xpacket end="w"?>""" % (" " * 100 + "\n")
BARE = (f'<RDF xmlns="{RDF}"><Description><s:subject xmlns:s="{DC}"><Bag><li>a</li></Bag></s:subject></Description>'
        "</RDF>")
SHAPES = {"darktable": DARKTABLE, "digikam": DIGIKAMS, "adobe": ADOBE, "bare": BARE}


def listed(content, namespace=DC, name="subject"):
    """The items of a list of keywords, None where there is none."""
    found = ET.fromstring(content).findall(f".//{{{RDF}}}Description/{{{namespace}}}{name}")
    return [item.text for item in found[0].iter(f"{{{RDF}}}li")] if found else None


def without(content, keywords):
    """The document in canonical form with its comments, less these items and lists that hold nothing else."""
    root = ET.fromstring(content)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{RDF}}}li" and child.text in keywords:
                parent.remove(child)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{DC}}}subject" and not list(child.iter(f"{{{RDF}}}li")):
                parent.remove(child)
    return ET.canonicalize(ET.tostring(root), strip_text=True)


def is_within(old, new):
    """Whether all of the old bytes are in the new ones, in their order."""
    rest = iter(new)
    return all(byte in rest for byte in old)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_keywords_are_added_and_nothing_else_changes(shape, encoding):
    text = SHAPES[shape].replace("UTF-8", "UTF-16" if encoding == "utf-16" else "UTF-8")
    old, new_words = text.encode(encoding), ["beach", "Zoë & <co>", "HOLIDAY"]
    new = merged(old, new_words)
    had = listed(old) or []
    added = [word for word in new_words if word.lower() not in had]
    assert listed(new) == [*had, *added]
    assert without(new, added) == without(old, added)
    if shape in ("darktable", "bare"):
        assert is_within(old, new)
    assert merged(new, new_words) == new and merged(new, ["BEACH"]) == new
    assert listed(merged(new, ["late"])) == [*had, *added, "late"]


def test_comments_instructions_padding_and_quotes_stay_byte_for_byte():
    for text in (DIGIKAMS, ADOBE):
        new = merged(text.encode(), ["beach"]).decode()
        for line in text.splitlines():
            assert line in new.splitlines() or any(part in line for part in ("subject", "TagsList", "crs:"))
    assert DARKTABLE.replace("butter</rdf:li>", "butter</rdf:li>\n     <rdf:li>beach</rdf:li>").replace(
        "trips|holiday</rdf:li>", "trips|holiday</rdf:li>\n     <rdf:li>beach</rdf:li>") == merged(
            DARKTABLE.encode(), ["beach"]).decode()


def test_lists_that_are_read_in_place_of_the_standards_get_keywords_where_they_are_there():
    assert listed(merged(DARKTABLE.encode(), ["sea"]), LIGHTROOM, "hierarchicalSubject") == ["trips|holiday", "sea"]
    assert listed(merged(DIGIKAMS.encode(), ["sea"]), DIGIKAM, "TagsList") == ["People/Zoë", "sea"]
    assert listed(merged(ADOBE.encode(), ["sea"]), DIGIKAM, "TagsList") is None


@pytest.mark.parametrize(("content", "message"), [
    (DARKTABLE[:-20], "is no XML, or damaged"), ("", "is no XML"), ("keywords: cat", "is no XML"),
    ("<a/>", "no rdf:RDF"),
    (DARKTABLE.replace("<rdf:Bag>", "<rdf:Bog>", 1).replace("</rdf:Bag>", "</rdf:Bog>", 1), "another form than a list"),
    (f'<r:RDF xmlns:r="{RDF}"/>', "no rdf:Description"),
    (f'<r:RDF xmlns:r="{RDF}"><r:Description xmlns:d="{DC}" d:subject="cat"/></r:RDF>', "subject as an attribute"),
    ('<!DOCTYPE a [<!ENTITY b "c">]>' + BARE, "document type"),
    (DARKTABLE.replace("UTF-8", "ISO-8859-1"), "encoded in ISO-8859-1"), (DARKTABLE + "<x/>", "is no XML, or damaged"),
    (BARE.replace("</Description>", f'<s:subject xmlns:s="{DC}"><Bag/></s:subject></Description>'), "subject twice"),
])
def test_what_is_no_sidecar_is_refused_and_stays(content, message, tmp_path):
    (tmp_path / "cat.jpg.xmp").write_text(content)
    before = (tmp_path / "cat.jpg.xmp").read_bytes()
    with pytest.raises(ValueError, match=message):
        write_keywords(tmp_path / "cat.jpg", ["cat"])
    assert (tmp_path / "cat.jpg.xmp").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_new_sidecar_and_the_same_again(tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"pixels")
    words = ["cat", "Cat", "a & b", "two\nlines", " ", "\x00"]
    assert write_keywords(tmp_path / "cat.jpg", words) == "written"
    content = (tmp_path / "cat.jpg.xmp").read_bytes()
    assert listed(content) == ["cat", "a & b", "two lines"]
    assert write_keywords(tmp_path / "cat.jpg", words) == "unchanged"
    os.chmod(tmp_path / "cat.jpg.xmp", 0o640)
    assert write_keywords(tmp_path / "cat.jpg", ["sofa"]) == "merged"
    assert listed((tmp_path / "cat.jpg.xmp").read_bytes()) == ["cat", "a & b", "two lines", "sofa"]
    assert stat.S_IMODE(os.stat(tmp_path / "cat.jpg.xmp").st_mode) == 0o640
    assert write_keywords(tmp_path / "dog.jpg", []) == "unchanged"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat.jpg", "cat.jpg.xmp"]
    assert (tmp_path / "cat.jpg").read_bytes() == b"pixels"


def test_the_name_of_a_sidecar(tmp_path):
    for name in ("a.jpg", "b.jpg", "b.xmp", "c.jpg", "c.CR2", "c.xmp", "d.jpg", "d.xmp", "d.jpg.xmp"):
        (tmp_path / name).touch()
    names = {name: sidecar_of(tmp_path / f"{name}.jpg").name for name in "abcd"}
    assert names == {"a": "a.jpg.xmp", "b": "b.xmp", "c": "c.jpg.xmp", "d": "d.jpg.xmp"}


def test_a_link_is_left_alone(tmp_path):
    (tmp_path / "mine.xmp").write_text(DARKTABLE)
    (tmp_path / "cat.jpg.xmp").symlink_to(tmp_path / "mine.xmp")
    with pytest.raises(ValueError, match="link or no file"):
        write_keywords(tmp_path / "cat.jpg", ["cat"])
    assert (tmp_path / "mine.xmp").read_text() == DARKTABLE


def test_another_program_that_writes_meanwhile_keeps_what_it_wrote(tmp_path, monkeypatch):
    from devise.datasets import sidecars

    path, real = tmp_path / "cat.jpg.xmp", sidecars.merged
    path.write_text(BARE)

    def slow(content, keywords):
        path.write_text(DARKTABLE)
        return real(content, keywords)

    monkeypatch.setattr(sidecars, "merged", slow)
    with pytest.raises(OSError, match="changed meanwhile"):
        write_keywords(tmp_path / "cat.jpg", ["cat"])
    assert path.read_text() == DARKTABLE and len(list(tmp_path.iterdir())) == 1
