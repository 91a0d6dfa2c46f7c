"""The fixtures of the browser tests see what they are there to see."""


def test_a_page_shows_its_text(page, tmp_path):
    file = tmp_path / "page.html"
    file.write_text("<!doctype html><title>A page</title><p>Hello")
    page.goto(file.as_uri())
    assert page.title() == "A page" and page.inner_text("p") == "Hello"


def test_errors_and_outside_requests_are_seen(page, problems, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(
        "<!doctype html><script>console.error('one'); throw new Error('two')</script><img src=https://x.org/>"
    )
    page.goto(file.as_uri())
    found = sorted(problems)
    problems.clear()
    assert [one for one in found if not one.startswith("Failed to load")] == ["https://x.org/", "one", "two"]
