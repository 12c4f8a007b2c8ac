"""The few shapes that the picture is made of, as SVG elements; texts are escaped by the XML library."""

from xml.etree import ElementTree as ET

NAMESPACE = "http://www.w3.org/2000/svg"


def root(width: float, height: float) -> ET.Element:
    """An empty picture that shrinks with its page."""
    return ET.Element(
        "svg",
        {
            "xmlns": NAMESPACE,
            "viewBox": f"0 0 {width:g} {height:g}",
            "width": f"{width:g}",
            "height": f"{height:g}",
            "role": "img",
            "aria-labelledby": "title desc",
        },
    )


def text(
    parent: ET.Element, x: float, y: float, words: str, look: str = "", *, anchor: str = "start", about: str = ""
) -> ET.Element:
    """Words, with their left end, middle or right end at a place; `about` is told while one points at them."""
    element = ET.SubElement(parent, "text", _placed(x=x, y=y))
    if look:
        element.set("class", look)
    if anchor != "start":
        element.set("text-anchor", anchor)
    element.text = words
    return _told(element, about)


def rectangle(
    parent: ET.Element,
    x: float,
    y: float,
    width: float,
    height: float,
    look: str,
    *,
    about: str = "",
) -> ET.Element:
    """A filled rectangle."""
    element = ET.SubElement(parent, "rect", {**_placed(x=x, y=y, width=width, height=height), "class": look})
    return _told(element, about)


def circle(parent: ET.Element, x: float, y: float, radius: float, look: str, *, about: str = "") -> ET.Element:
    """A dot."""
    element = ET.SubElement(parent, "circle", {**_placed(cx=x, cy=y, r=radius), "class": look})
    return _told(element, about)


def line(parent: ET.Element, x1: float, y1: float, x2: float, y2: float, look: str = "line") -> ET.Element:
    """A straight line."""
    return ET.SubElement(parent, "line", {**_placed(x1=x1, y1=y1, x2=x2, y2=y2), "class": look})


def _placed(**numbers: float) -> dict[str, str]:
    return {name: f"{round(number, 1):g}" for name, number in numbers.items()}


def _told(element: ET.Element, about: str) -> ET.Element:
    if about:
        ET.SubElement(element, "title").text = about
    return element
