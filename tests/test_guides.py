"""Pages of documentation: links and names of files lead somewhere, and the site has all pages."""

import re

import pytest

from tests.testing import ROOT

PATTERNS = ("*.md", "experiments/*.md", "keras_uai/*/README.md", "saved_models/**/README.md")
PAGES = sorted(str(p.relative_to(ROOT)) for pattern in PATTERNS for p in ROOT.glob(pattern))
#: Guides: pages that say what a reader can do after them.
GUIDES = [page for page in PAGES if page.startswith("keras_uai/")]
GUIDES += ["CONTRIBUTING.md", "saved_models/README.md", "experiments/gallery.md"]


def anchors(text):
    """Returns the anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith("http"):
            name, _, anchor = link.partition("#")
            target = (ROOT / page).parent / name if name else ROOT / page
            assert target.is_file(), link
            assert not anchor or anchor in anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(r"(?<![\w./-])((?:\.ci|experiments|keras_uai|tests|tools)/[\w/.-]*\w)", text)
    assert {name for name in named if not (ROOT / name).exists()} <= {"tools/NAME"}


def test_the_site_has_every_page():
    site = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert set(PAGES) == {page for page in re.findall(r"\S+\.md", site) if "reference/" not in page}


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("page", GUIDES)
def test_guides_say_what_they_are_for(page):
    assert (ROOT / page).read_text("utf-8").splitlines()[2].startswith("After this page you ")
