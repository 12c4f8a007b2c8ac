"""Which files the words of a notice come from: own ones (`DUNNING_TEMPLATE_DIR`) lie over the shipped ones (rule 34).

A folder holds a folder per language, such as `de` or `pt-BR`, with `NAME.txt` (the wording, for both kinds of mail),
perhaps `NAME.html` (in its place for the HTML part) and `_phrases.txt`; beside them `layout.txt` and `layout.html`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notification_dispatcher.templates.locales import FALLBACK
from notification_dispatcher.templates.paragraphs import html_paragraphs, text_paragraphs

SHIPPED_FOLDER = Path(__file__).parent
_LANGUAGES_KEPT_MAX = 4096
SUFFIXES = (".txt", ".html")
_REST_OF_LOCALE = re.compile(r"[.@;,].*")


def tags_of(locale: str | None) -> list[str]:
    """The languages that a customer with this locale reads, best first: `pt_BR.UTF-8` is `pt-br`, then `pt`."""
    tag = _REST_OF_LOCALE.sub("", (locale or "").strip().lower()).replace("_", "-")
    parts = [part for part in tag.split("-") if part]
    return ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]


class Wording:
    """The files at hand. They are read when a process starts; a change takes effect at the next start."""

    def __init__(self, own: Path | None = None) -> None:
        """`own` is laid over the shipped folder, file by file."""
        self.own = own
        self._folders: Sequence[Path] = [folder for folder in (own, SHIPPED_FOLDER) if folder is not None]
        self._files = frozenset(path.relative_to(root).as_posix() for root in self._folders for path in _files(root))

    @cached_property
    def names(self) -> frozenset[str]:
        """The templates that a policy may name."""
        inside = (Path(name) for name in self._files if "/" in name)
        return frozenset(path.stem for path in inside if not path.stem.startswith("_"))

    @cached_property
    def languages(self) -> dict[str, list[str]]:
        """The folders of each language, by its name in lower case."""
        found: dict[str, list[str]] = {}
        for folder in sorted({name.split("/")[0] for name in self._files if "/" in name}):
            found.setdefault(folder.lower().replace("_", "-"), []).append(folder)
        return found

    @cached_property
    def language_of(self) -> Callable[[str, str | None], str]:
        """The language that a template is written in for a customer: the nearest one that has it, else English.

        Every outcome of a notice names it, so answers are kept.
        """
        return lru_cache(maxsize=_LANGUAGES_KEPT_MAX)(self._language_of)

    def _language_of(self, template: str, locale: str | None) -> str:
        for tag in [*tags_of(locale), FALLBACK]:
            if self._find(tag, template, SUFFIXES):
                return self.languages[tag][0].replace("_", "-")
        return FALLBACK

    def file_of(self, template: str, language: str, *, html: bool) -> str | None:
        """The file of a template in a language; None where there is none."""
        return self._find(language.lower(), template, (".html", ".txt") if html else (".txt",))

    def phrases_of(self, language: str) -> str | None:
        """The shared sentences of a language, or of the wider one: `de-AT` has those of `de` unless it has its own."""
        return next((found for tag in tags_of(language) if (found := self._find(tag, "_phrases", (".txt",)))), None)

    def _find(self, tag: str, name: str, suffixes: Sequence[str]) -> str | None:
        paths = (f"{folder}/{name}{suffix}" for folder in self.languages.get(tag, ()) for suffix in suffixes)
        return next((path for path in paths if path in self._files), None)

    @cached_property
    def in_text(self) -> ImmutableSandboxedEnvironment:
        """Templates as plain text."""
        return self._environment(html=False)

    @cached_property
    def in_html(self) -> ImmutableSandboxedEnvironment:
        """Templates as HTML, every value escaped."""
        return self._environment(html=True)

    def _environment(self, *, html: bool) -> ImmutableSandboxedEnvironment:
        environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(self._folders),
            undefined=StrictUndefined,
            autoescape=html,
            cache_size=-1,  # all of them, for they are read once
            auto_reload=False,
        )
        environment.filters["paragraphs"] = html_paragraphs if html else text_paragraphs
        return environment


@lru_cache(maxsize=1)
def shipped() -> Wording:
    """The shipped files alone."""
    return Wording()


def _files(folder: Path) -> Iterator[Path]:
    """Templates and layouts; hidden files and what editors leave behind are none."""
    for suffix in SUFFIXES:
        for pattern in (f"*{suffix}", f"*/*{suffix}"):
            yield from (path for path in folder.glob(pattern) if not path.name.startswith("."))
