"""The page that explores a model, in a browser: tiny untrained networks of the three methods, and bad input."""

import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("starlette", reason="no test of the page: pip install -r requirements-explore.txt")
pytest.importorskip("uvicorn", reason="no test of the page: pip install -r requirements-explore.txt")

from src.api import load
from src.checkpoint import save_checkpoint
from src.config import load_config
from src.data.catalog import load_dataset_info
from src.explore.explorer import Explorer
from src.explore.folder import Folder
from src.explore.jobs import Jobs
from src.explore.server import Server, build_app
from src.models import build_model
from tests.conftest import SMALL
from tests.models.small import SMALL_DECODER

SHAPES = load_dataset_info("shapes")
TOKEN = "a-token"
MEGAPIXELS = 0.05  # little, so that a large photo is segmented fast
NOISE = np.random.default_rng(0).random((64, 64, 3))
PHOTO = cv2.normalize(cv2.GaussianBlur(NOISE, (0, 0), 8), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.fixture(scope="module")
def explored(request, tmp_path_factory):
    """The address of a page, and what its model computes of `PHOTO`, in the thread that it belongs to."""
    decoder = request.param
    folder = tmp_path_factory.mktemp(decoder)
    values = {**SMALL, "data": {**SMALL["data"], "records": str(folder / "records")}, "device": {"mode": "pynative"}}
    values["model"] = {
        "backbone": {"name": "resnet18"},
        "decoder": {"name": request.param, **SMALL_DECODER[request.param]},
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(values))
    config = load_config(folder / "small.yaml")
    photos = folder / "photos"
    photos.mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(photos / f"{name}.png"), PHOTO[..., ::-1])
    (photos / "broken.jpg").write_bytes(b"no image")
    cv2.imwrite(str(folder / "secret.png"), PHOTO)
    meta = {"classes": list(SHAPES.classes), "colors": [list(color) for color in SHAPES.colors]}
    save_checkpoint(folder / "model.ckpt", build_model(config.model, len(SHAPES.classes)), meta)
    jobs = Jobs()
    thread = threading.Thread(target=jobs.run)
    thread.start()
    try:
        model = jobs.submit(lambda: load(folder / "model.ckpt", folder / "small.yaml")).result()
        with Server(build_app(Explorer(model, Folder(photos, MEGAPIXELS)), jobs, TOKEN), 0) as server:
            address = f"http://127.0.0.1:{server.port}/{TOKEN}/"
            compute = lambda name: jobs.submit(lambda: getattr(model, name)(PHOTO)).result()  # noqa: E731
            yield SimpleNamespace(address=address, compute=compute, decoder=decoder)
    finally:
        jobs.stop()
        thread.join()


@pytest.fixture
def opened(page, explored):
    """The page with its first image segmented and all of it drawn."""
    page.goto(explored.address)
    settle(page)
    return page


def settle(page):
    """Wait until every picture of the page is there and no message is left."""
    page.wait_for_function(
        """() => document.getElementById("message").hidden && document.querySelectorAll("#groups img").length > 0 &&
        [...document.images].every((image) => image.src && image.complete && image.naturalWidth > 0)""",
        polling=100,
    )


def click(page, row, column, size=64):
    """Click the pixel of the image, and wait until its probabilities are there."""
    box = page.locator("#stage").bounding_box()
    at = {"x": (column + 0.5) / size * box["width"], "y": (row + 0.5) / size * box["height"]}
    page.click("#stage", position=at)
    wait_for_pixel(page, row, column)


def wait_for_pixel(page, row, column):
    page.wait_for_selector(f"#pixel-title:text-is('Pixel ({row}, {column})')")


def look_inside(page):
    page.click("#look-inside")
    page.wait_for_selector("#groups section:nth-child(2)")
    settle(page)


def shown(page, selector):
    """The rows of a list, as {class: text of its share}."""
    rows = page.locator(f"{selector} li button").all()
    return {row.locator(".name").inner_text(): row.locator(".share").inner_text() for row in rows}


def shares(values):
    return {name: f"{100 * value:.1f} %" for name, value in zip(SHAPES.classes, values, strict=True)}


def picture(page, selector):
    """What the browser draws for an element, RGB."""
    data = np.frombuffer(page.locator(selector).first.screenshot(), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


# What does not depend on the method is tested with the cheapest one.
with_one_decoder = pytest.mark.parametrize("explored", ["csnet"], indirect=True)


@with_one_decoder
def test_slider_moves_the_picture(opened, explored):
    colors = np.array(SHAPES.colors)[explored.compute("predict").probabilities.argmax(0)]
    for opacity, expected in (("0", PHOTO), ("100", colors)):
        opened.locator("#opacity").fill(opacity)
        drawn = cv2.resize(picture(opened, "#stage"), (64, 64), interpolation=cv2.INTER_AREA)
        assert abs(drawn.astype(int) - expected).mean() < 3, opacity


@with_one_decoder
def test_click_shows_the_probabilities_of_the_model(opened, explored):
    click(opened, 10, 50)
    computed = explored.compute("predict").probabilities
    assert shown(opened, "#pixel") == shares(computed[:, 10, 50])
    opened.keyboard.press("ArrowDown")
    wait_for_pixel(opened, 11, 50)
    assert shown(opened, "#pixel") == shares(computed[:, 11, 50])


@pytest.mark.parametrize("explored", ["csnet", "cpt", "ecenet"], indirect=True)
def test_inside(opened, explored):
    look_inside(opened)
    click(opened, 20, 30)
    settle(opened)
    titles = opened.locator("#groups figcaption").all_inner_texts()
    if explored.decoder == "ecenet":
        assert {f"M{i}, stride {4 << i}" for i in range(4)} | {f"E{i}, stride {4 << i}" for i in range(4)} < {*titles}
    if explored.decoder == "cpt":
        assert {"M3, stride 32", "M2, stride 16", "M1, stride 8", "block 0"} < {*titles}
        attention = explored.compute("explain").arrays["attention_0"][0, 2, 3]
        assert shown(opened, "#attention section:nth-child(3)") == shares(attention)
        assert opened.locator("#prototypes canvas").count() == 3
        opened.locator("#prototypes canvas").first.hover(position={"x": 2, "y": 2})
        assert opened.locator("#prototypes output").first.inner_text() == "background – background: 1.00"
    if explored.decoder == "csnet":
        before = picture(opened, '[data-map="similarity"] img')
        click(opened, 60, 60)
        settle(opened)
        assert (picture(opened, '[data-map="similarity"] img') != before).any()


@with_one_decoder
def test_a_map_lies_over_the_image(opened):
    opened.click('[data-map="probability"] button')
    assert opened.inner_text("#shown") == "probability"
    source = opened.get_attribute("#overlay", "src")
    assert source.startswith("data:image/png")
    opened.select_option("#category", opened.locator("#category option:not(:checked)").first.get_attribute("value"))
    opened.wait_for_function("before => document.getElementById('overlay').src !== before", arg=source)
    opened.click("#back")
    assert "api/classes" in opened.get_attribute("#overlay", "src")


@with_one_decoder
def test_own_photo(opened):
    data = cv2.imencode(".png", PHOTO)[1].tobytes()
    opened.set_input_files("#photo", {"name": "mine.png", "mimeType": "image/png", "buffer": data})
    opened.wait_for_selector('#images button[aria-current="true"]:text("mine.png")')
    settle(opened)
    click(opened, 0, 0)
    assert len(shown(opened, "#pixel")) == len(SHAPES.classes)


@with_one_decoder
def test_broken_images_are_told_and_left(opened, problems):
    opened.click("#images button:text('broken.jpg')")
    opened.wait_for_selector("#message.failed")
    assert "broken.jpg: unreadable image (not an image file)" in opened.inner_text("#message")
    opened.set_input_files("#photo", {"name": "mine.png", "mimeType": "image/png", "buffer": b"no image"})
    opened.wait_for_selector("#message.failed:has-text('mine.png')")
    assert all("400" in problem for problem in problems)
    problems.clear()
    opened.click("#images button:text('b.png')")
    settle(opened)


@with_one_decoder
def test_a_photo_of_50_megapixels_is_scaled_down_and_the_page_says_so(opened):
    data = cv2.imencode(".jpg", np.full((5000, 10000, 3), 128, np.uint8))[1].tobytes()
    opened.set_input_files("#photo", {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": data})
    opened.wait_for_selector("#notes:has-text('10000 x 5000 pixels scaled down to 316 x 158')")
    settle(opened)


@with_one_decoder
def test_nothing_outside_the_folder_is_shown(opened, problems):
    ask = "async key => (await fetch(`api/segment?${new URLSearchParams({ image: key })}`)).json()"
    assert "no such image" in opened.evaluate(ask, "folder/../secret.png")["error"]
    assert len(problems) == 1 and "400" in problems.pop()
    assert opened.evaluate(ask, "folder/a.png")["height"] == 64


@with_one_decoder
def test_without_the_token_there_is_no_page(page, problems, explored):
    answer = page.goto(explored.address.replace(TOKEN, "guessed"))
    assert answer.status == 403 and "it ends with the token" in page.inner_text("body")
    assert all("403" in problem for problem in problems)
    problems.clear()


@with_one_decoder
def test_two_pages_at_once(browser, page, explored):
    other = browser.new_page()
    for one in (page, other):
        one.goto(explored.address, wait_until="commit")
    computed = explored.compute("predict").probabilities
    for one, column in ((page, 50), (other, 20)):
        settle(one)
        click(one, 10, column)
        assert shown(one, "#pixel") == shares(computed[:, 10, column])
    other.close()


@with_one_decoder
def test_a_killed_page_does_not_stop_the_others(browser, page, explored):
    other = browser.new_page()
    other.goto(explored.address, wait_until="commit")
    other.close()
    page.goto(explored.address)
    settle(page)
