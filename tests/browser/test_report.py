"""The report in a browser: its parts are there, the slider moves the pictures, tables and images sort, keys work."""

import pytest

from src.report.page import write_report
from tests.report.runs import COLORS, HEIGHT, write_evaluation, write_training

IMAGES = {f"image{index}": columns for index, columns in enumerate([3, 12, 0, 6])}  # wrong columns
PIXELS = """canvas => [...canvas.getContext("2d").getImageData(0, 12, canvas.width, 1).data]"""


@pytest.fixture(scope="module")
def report(small_config, tmp_path_factory):
    """The page of two runs; the second is better by its last image and worse by its first."""
    folder = tmp_path_factory.mktemp("report")
    one, two = folder / "one", folder / "two"
    write_training(one, small_config, [3.0, 2.0, 1.5, 1.2])
    write_training(two, small_config, [2.5, 1.8, 1.3, 1.0], "optimizer.lr=0.5")
    write_evaluation(one, small_config, IMAGES)
    write_evaluation(two, small_config, {**IMAGES, "image0": 9, "image3": 0}, "optimizer.lr=0.5")
    return write_report([one, two], folder / "report.html")


@pytest.fixture
def opened(page, report):
    """The page, with the pictures of its cards drawn."""
    page.goto(report.as_uri())
    page.locator("#images").scroll_into_view_if_needed()
    page.locator(".card[data-drawn]").first.wait_for()
    return page


def names(page):
    """Names of the images, in their order."""
    return page.locator(".card .name").all_inner_texts()


def row(page, card=0):
    """RGB of the pixels of a card's picture, halfway down."""
    values = page.locator(".card canvas").nth(card).evaluate(PIXELS)
    return [values[start : start + 3] for start in range(0, len(values), 4)]


def slide(page, value):
    page.locator("#blend").evaluate(
        "(slider, value) => {slider.value = value; slider.dispatchEvent(new Event('input'))}", value
    )


def test_every_part_is_there(opened):
    titles = ["Runs", "Curves", "Configuration", "Classes", "Confusion", "Origin", "Images"]
    assert opened.locator("section:visible h2").all_inner_texts() == titles
    assert opened.locator("nav a").all_inner_texts() == titles
    assert opened.locator("#curves .uplot").count() == 5  # loss, lr; mIoU, aAcc, mAcc
    rows = opened.locator("#overview tbody tr")
    assert [text.split()[0] for text in rows.all_inner_texts()] == ["one", "two"]
    assert "optimizer.lr" in opened.locator("#config tbody").first.inner_text()
    assert opened.locator("#matrix-canvas").get_attribute("aria-label") == "confusion matrix of 3 classes, one"
    assert opened.locator("#origin").inner_text().count("Evaluation") == 2


def test_the_slider_moves_from_the_image_to_the_error(opened):
    """image1, the worst: of its label's road, the first third, all is predicted as car."""
    assert names(opened)[0] == "image1"
    photo = row(opened)
    slide(opened, 1)
    assert [row(opened)[column] for column in (5, 17, 30)] == COLORS
    slide(opened, 2)
    assert [row(opened)[column] for column in (5, 17, 30)] == [COLORS[1], COLORS[1], COLORS[2]]
    slide(opened, 3)
    errors = row(opened)
    assert errors[5] == [255, 150, 30] and errors[17][0] == errors[17][1] == errors[17][2]
    slide(opened, 0.5)
    half = row(opened)
    assert all(abs(2 * half[5][i] - photo[5][i] - COLORS[0][i]) <= 3 for i in range(3))
    assert opened.locator("#blend").get_attribute("aria-valuetext") == "50 % image, 50 % label"
    opened.locator("#blend").press("Home")
    assert row(opened) == photo
    opened.locator(".jumps button", has_text="error").press("Enter")
    assert row(opened) == errors


def test_images_sort_by_worst_class_confusion_and_name(opened):
    order = opened.locator("#order")
    assert names(opened) == ["image1", "image3", "image0", "image2"]
    order.select_option("name")
    assert names(opened) == ["image0", "image1", "image2", "image3"]
    order.select_option("class")
    opened.get_by_label("class", exact=True).select_option("tree")
    assert names(opened) == ["image0", "image1", "image2", "image3"]  # right in all of them
    opened.get_by_label("class", exact=True).select_option("car")
    assert names(opened)[0] == "image1" and names(opened)[-1] == "image2"
    order.select_option("confusion")
    opened.get_by_label("class", exact=True).select_option("road")
    opened.get_by_label("predicted as", exact=True).select_option("tree")
    assert names(opened) == []
    opened.get_by_label("predicted as", exact=True).select_option("car")
    assert names(opened) == ["image1", "image3", "image0"]
    order.select_option("difference")
    assert names(opened) == ["image3", "image1", "image2", "image0"]
    assert opened.locator(".card").first.locator("canvas").count() == 2


def test_a_cell_of_the_matrix_shows_its_images(opened):
    matrix = opened.locator("#matrix-canvas")
    matrix.focus()
    matrix.press("ArrowRight")
    pixels = sum(IMAGES.values()) * (HEIGHT - 1)
    share = 100 * pixels / (12 * (HEIGHT - 1) * len(IMAGES))
    told = f"label road, prediction car: {share:.2f} % of the label, {pixels} pixels"
    assert opened.locator("#matrix .readout").inner_text() == told
    matrix.press("Enter")
    assert names(opened) == ["image1", "image3", "image0"]
    assert opened.locator("#order").input_value() == "confusion"
    opened.get_by_label("minus").select_option("two")
    assert opened.locator("#matrix .readout").inner_text() == "label road, prediction car: 0.00 % more than two"


def test_tables_sort(opened):
    table = opened.locator("#classes table")
    classes = lambda: table.locator("tbody th").all_inner_texts()  # noqa: E731
    assert classes() == ["road", "car", "tree"]
    head = table.get_by_role("button", name="one").first
    head.click()
    assert classes()[0] == "tree"
    head.press("Enter")
    assert classes()[-1] == "tree"
    assert table.locator("th[aria-sort=ascending]").inner_text() == "one"


def test_a_zoom_holds_for_all_curves(opened):
    assert opened.get_by_label("From step").input_value() == "1"
    opened.get_by_label("From step").fill("2")
    opened.get_by_label("to", exact=True).fill("3")
    opened.get_by_label("to", exact=True).press("Enter")
    opened.get_by_role("button", name="Whole range").click()
    assert opened.get_by_label("to", exact=True).input_value() == "4"
    over = opened.locator(".u-over").first
    box = over.bounding_box()
    over.scroll_into_view_if_needed()
    over.hover(position={"x": box["width"] * 0.4, "y": 50})
    legend = opened.locator(".u-legend").first.inner_text()
    assert "2" in legend and "1.8" in legend
    opened.mouse.down()
    over.hover(position={"x": box["width"] * 0.9, "y": 50})
    opened.mouse.up()
    assert int(opened.get_by_label("From step").input_value()) == 2


def test_an_image_opens_large_and_closes(opened):
    opened.locator(".card button").first.focus()
    opened.keyboard.press("Enter")
    dialog = opened.locator("dialog[open]")
    dialog.locator("canvas").nth(5).wait_for()
    captions = [" ".join(text.split()) for text in dialog.locator("figcaption").all_inner_texts()]
    assert captions == ["image", "label", "prediction one", "error one", "prediction two", "error two"]
    dialog.locator("canvas").nth(2).hover(position={"x": 20, "y": 60})
    assert dialog.locator(".readout").inner_text() == "label road, prediction car"
    opened.keyboard.press("ArrowRight")
    assert dialog.locator("h2").inner_text() == "image3"
    opened.keyboard.press("Escape")
    assert opened.locator("dialog[open]").count() == 0


def test_light_and_dark(opened):
    paper = lambda: opened.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    assert paper() == "rgb(255, 255, 255)"
    for _ in range(2):
        opened.locator("#theme").click()
    assert paper() == "rgb(20, 23, 26)"


def test_a_training_alone_has_no_images(page, small_config, tmp_path):
    folder = write_training(tmp_path / "run", small_config, [2.0, 1.0])
    page.goto(write_report([folder], tmp_path / "report.html").as_uri())
    assert page.locator("section:visible h2").all_inner_texts() == ["Runs", "Curves", "Configuration", "Origin"]
    assert "Without an evaluation: run." in page.locator("#overview").inner_text()
