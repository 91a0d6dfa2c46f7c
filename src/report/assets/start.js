// Build every section, and link those that have something to show.

const BUILDERS = {
  overview: showOverview,
  curves: showCurves,
  config: showConfig,
  classes: showClasses,
  matrix: showMatrix,
  origin: showOrigin,
  images: showImages,
};

function start() {
  startTheme();
  const links = [];
  for (const [id, build] of Object.entries(BUILDERS)) {
    const section = document.getElementById(id);
    if (build(section) === false) section.hidden = true;
    else links.push(element("a", { href: `#${id}` }, section.querySelector("h2").textContent));
  }
  document.querySelector("nav").append(...links);
  document.documentElement.dataset.ready = "true";
}

start();
