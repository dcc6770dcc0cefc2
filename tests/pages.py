"""Pages as a browser reads them."""

from html.parser import HTMLParser

_VOID = {"meta", "input", "br"}


class Page(HTMLParser):
    """Reads a page, whose elements must be closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), attrs
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def of(self, tag, name=None):
        """Return the attributes of the elements of a tag, of one class if it is given."""
        return [at for one, at in self.elements if one == tag and (name is None or name in at.get("class", "").split())]


def words_of(html):
    """Return all words of a page, without styles and scripts."""
    return "".join(Page(html).words)
