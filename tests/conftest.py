"""What tests of several rooms share: no skips in CI, a cell library, a browser that complains."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

MINI = Path(__file__).parent / "rtl" / "mini.lib"

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


CI = os.environ.get("CI", "").lower() in ("1", "true")


def _not_in_ci(report: Any) -> Any:
    """Let what is skipped fail in CI, which installs what any test needs (`.ci/run`)."""
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        *_, reason = report.longrepr
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped in CI: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Tests and fixtures that skip."""
    return _not_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Modules that skip whole."""
    return _not_in_ci((yield))


@pytest.fixture(scope="module")
def synthesis_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Results of synthesis go to a folder of the module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EOQ_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def mini() -> Any:
    """Library of a few cells whose every number is known, tests/rtl/mini.lib."""
    from rtl.cell_library import load_library

    return load_library(MINI)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by playwright."""
    # Imported here: only the tests that browse need it.
    from playwright import sync_api

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a file; whatever the browser complains about or fetches beside it fails the test."""
    complaints: list[str] = []
    requests: list[str] = []
    opened: set[str] = set()
    contexts = []

    def open_(path: Path, **options: Any) -> Any:
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: requests.append(request.url))
        opened.add(path.as_uri())
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
    # An empty icon inside the page keeps browsers from looking for one.
    assert {url for url in requests if not url.startswith("data:")} <= opened
