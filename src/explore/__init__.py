"""A local page that shows what a trained model sees in images, and what happens inside its decoder.

`server` answers the browser, `explorer` computes, one request at a time, what it answers with; `folder` has the images,
`inside` what each decoder has to show, ``page/`` the page itself.
"""
