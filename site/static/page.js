/* Sliders, switches, panel selection, loupe, lightbox, copying, contents. Without it the page is
   complete: the grids show everything. */
"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const on = (node, types, act) => types.split(" ").forEach(type => node.addEventListener(type, act, true));
const row = link => all(".full", link.closest("tr, ul"));

/* A figure's panels are one Tab stop; arrows move between them. */
const stop = (figure, link) => all(".full", figure).forEach(each => {
  each.tabIndex = each == link ? 0 : -1;
});
/* A figure with a slider shows one panel large. */
const choose = link => {
  const figure = link.closest(".figure"), dial = figure.querySelector("[data-does=slide]");
  stop(figure, link);
  if (!dial) return;
  all(".panel", figure).forEach(panel => panel.classList.toggle("shown", panel.contains(link)));
  const { src, alt } = link.querySelector("img");
  Object.assign(figure.querySelector(".view img"), { src, alt });
  dial.value = row(link).indexOf(link);
  say(dial, dial.list.options[dial.value].label);
};
const say = (dial, text) => {
  dial.setAttribute("aria-valuetext", text);
  for (const output of all("output", dial.parentElement)) output.value = text;
};
const controls = {
  slide: (figure, dial) => choose(row(figure.querySelector(".shown .full"))[dial.value]),
  wipe(figure, dial) {
    figure.style.setProperty("--at", dial.value + "%");
    figure.classList.toggle("wiping", dial.value < 100);
    const laid = all(".full:has(.over)", figure);
    if (laid[0].getBoundingClientRect().right > innerWidth) laid.at(-1).scrollIntoView({ block: "nearest" });
    say(dial, dial.value + "% " + all("span", dial.parentElement)[1].textContent);
  },
  distance(figure, dial) {
    figure.style.setProperty("--far", 1 / dial.value);
    figure.classList.toggle("away", dial.value > 1);
    say(dial, dial.value + " × the distance");
  },
};
for (const figure of all(".figure")) {
  const links = all(".pictures .full", figure), dial = figure.querySelector("[data-does=slide]");
  choose(links[dial ? dial.value : 0]);
}
for (const dial of all("[data-does]")) {
  const figure = dial.closest(".figure, .exhibit"), update = () => controls[dial.dataset.does](figure, dial);
  on(dial, "input", update);
  if (dial.dataset.does == "wipe") for (const link of all(".full:has(.over)", figure)) {
    on(link, "dragstart", event => event.preventDefault());
    on(link, "pointerdown pointermove", ({ type, buttons, offsetX }) => {
      if (type == "pointerdown") link.dragged = false;
      else if (buttons) {
        link.dragged = true;
        dial.value = offsetX / link.clientWidth * 100;
        update();
      }
    });
  }
}

/* The loupe shows the same place, x and y in 0 … 1, in all pictures of a row. */
const look = (link, x, y) => {
  for (const [name, at] of Object.entries({ x, y }))
    link.closest("tr, .row").style.setProperty("--" + name, Math.min(1, Math.max(0, at)));
};
for (const figure of all(".figure.loupe")) {
  on(figure, "change", ({ target }) => {
    for (const each of all("source, img", figure)) each.sizes = target.checked ? "1024px" : "256px";
  });
  on(figure, "pointermove", ({ target, clientX, clientY }) => {
    const link = target.closest(".full");
    if (!link) return;
    const { left, top, width, height } = link.getBoundingClientRect();
    look(link, (clientX - left) / width, (clientY - top) / height);
  });
}
const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
on(document, "keydown", event => {
  const link = event.target.closest?.(".full"), [right, down] = steps[event.key] || [];
  if (!link || right == null) return;
  const links = all(".full", link.closest(".figure"));
  const next = links[links.indexOf(link) + right + down * (link.closest("tr") ? row(link).length : 1)];
  if (link.closest(".loupe:has(:checked)")) {
    const { style } = link.closest("tr, .row"), at = name => +(style.getPropertyValue(name) || .5);
    look(link, at("--x") + right / 8, at("--y") + down / 8);
  } else if (next) {
    choose(next);
    next.focus();
  } else return;
  event.preventDefault();
});

const box = document.querySelector("dialog");
const [place, frame, caption, whole] = [".place", ".frame", ".caption", ".whole"].map(name => box.querySelector(name));
let links = [], at = 0;
const fit = large => {
  box.classList.toggle("true", large);
  whole.setAttribute("aria-pressed", large);
};
const show = step => {
  at = (at + step + links.length) % links.length;
  frame.replaceChildren(links[at].querySelector("picture, img").cloneNode(true));
  for (const each of all("source, img", frame)) each.sizes = "1024px";
  const image = frame.querySelector("img"), room = Math.min(innerWidth - 40, innerHeight - 230);
  image.loading = "eager";
  if (image.className) image.style.width = Math.max(1, Math.floor(room / image.width)) * image.width + "px";
  whole.hidden = !!image.className;
  fit(false);
  place.textContent = `${at + 1} of ${links.length}: ${image.alt}`;
};
on(document, "click", event => {
  const link = event.target.closest(".full, .view");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  const figure = link.closest(".figure"), chosen = figure.querySelector(".shown .full");
  if (link.dragged) return;
  if (chosen && link != chosen && link.matches(".full")) return choose(link);
  links = all(".full", figure);
  at = links.indexOf(chosen || link);
  caption.innerHTML = figure.querySelector(".caption").innerHTML;
  show(0);
  links[at].focus();
  box.showModal();
});
on(box, "click", ({ target }) => {
  const step = target.dataset.step;
  if (target == box || step == "0" || target.closest("a")) box.close();
  else if (step) show(+step);
  else if (target == whole || (target.matches("img") && !target.className)) fit(!box.matches(".true"));
});
on(box, "keydown", ({ key, target }) => {
  const step = steps[key]?.[0];
  if (step && target != frame) show(step); // there, arrows scroll
});

for (const button of all(".copy")) on(button, "click", async () => {
  const code = button.parentElement.querySelector("code");
  getSelection().selectAllChildren(code);
  await navigator.clipboard.writeText(code.textContent);
  button.textContent = "Copied";
});

/* Only scrollable elements are Tab stops. */
const scrollers = new ResizeObserver(entries => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
all("pre, .formula, .scroll").forEach(each => scrollers.observe(each));

const bar = document.querySelector(".bar ol");
const reading = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) {
    const link = bar.querySelector(`[href="#${target.id}"]`);
    if (!isIntersecting) link.removeAttribute("aria-current");
    else {
      link.setAttribute("aria-current", "location");
      bar.scrollLeft = link.offsetLeft - bar.clientWidth / 3;
    }
  }
}, { rootMargin: "-25% 0px -75% 0px" });
all(".section").forEach(section => reading.observe(section));

/* Once the first screen is complete, all pictures load: a capture of the whole page shows them. */
if (!navigator.connection?.saveData) on(window, "load", () => all("img").forEach(each => each.loading = "eager"));
