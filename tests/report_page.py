"""A page of the HTML report, read as a browser would read it."""

import json
import re
from html.parser import HTMLParser

from backtest.report.html import write_report

NO_NUMBER = re.compile(r"(?<![A-Za-z])(nan|NaN|inf|Infinity|None|NaT)(?![A-Za-z])")


class Page(HTMLParser):
    """A page as a browser would read it: its elements with attributes, the text a reader sees, and its data."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.inside, self.words, self.scripts = [], [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())
        self.data = json.loads(self.scripts[0])

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        last = self.inside[-1] if self.inside else ""
        if last == "script":
            self.scripts.append(data)
        elif last != "style":
            self.words.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(view, market=None):
    return Page(write_report(None, view, market))
