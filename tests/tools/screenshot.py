"""`make screenshot`: takes the README's picture of the built page with the system's Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """Returns the path of the system's Chromium; None if there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def main() -> None:
    path = chromium()
    if path is None:
        raise SystemExit(f"screenshot: none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1120, "height": 1280})
        page.goto((ROOT / "site" / "index.html").as_uri())
        page.wait_for_function("document.fonts.ready")
        page.screenshot(path=ROOT / "report" / "page.png")


if __name__ == "__main__":
    main()
