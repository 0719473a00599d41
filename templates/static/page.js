/* Sliders, loupe, lightbox, copying, the reader's place. Without this file the page is whole. */
"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const on = (node, types, act) => types.split(" ").forEach(type => node.addEventListener(type, act, true));

const controls = {
  slide(stage, dial) {
    const stop = dial.list.options[dial.value];
    all("tbody tr, .row", stage.parentElement).forEach((row, index) => {
      const view = all("img", stage)[index];
      all(".panel", row).forEach((panel, column) => {
        const shown = column == stop.dataset.column, { src, alt } = panel.querySelector("img");
        panel.classList.toggle("shown", shown);
        if (shown) Object.assign(view, { src, alt });
      });
    });
    return stop.label;
  },
  wipe(stage, dial) {
    stage.style.setProperty("--at", dial.value + "%");
    return dial.value + "% " + dial.previousElementSibling.textContent;
  },
  distance(stage, dial) {
    stage.style.setProperty("--far", 1 / dial.value);
    stage.classList.toggle("away", dial.value > 1);
    return dial.value + " × the distance";
  },
};

for (const dial of all(".stage input[type=range]")) {
  const stage = dial.closest(".stage"), output = stage.querySelector("output"), kind = stage.classList[1];
  const update = () => {
    const text = controls[kind](stage, dial);
    dial.setAttribute("aria-valuetext", text);
    if (output) output.value = text;
  };
  on(dial, "input", update);
  update();
  if (kind == "wipe") for (const frame of all(".frame", stage)) {
    on(frame, "pointerdown pointermove", ({ buttons, offsetX }) => {
      if (!buttons) return;
      dial.value = offsetX / frame.clientWidth * 100;
      update();
    });
  }
}

for (const loupe of all(".loupe input")) {
  const figure = loupe.closest("figure");
  let lead; // the picture at hand; others follow
  const move = (link, left, top) => {
    for (const each of all(".full", link.closest("tr, .row"))) {
      if (each.scrollLeft != left || each.scrollTop != top) each.scrollTo(left, top);
    }
  };
  on(figure, "pointerover focusin", ({ target }) => lead = target.closest(".full"));
  on(loupe, "change", () => {
    for (const each of all("source, img", figure)) each.sizes = loupe.checked ? "1024px" : "256px";
    for (const link of all(".full", figure)) move(link, 1.5 * link.clientWidth, 1.5 * link.clientWidth);
  });
  on(figure, "scroll", ({ target }) => {
    if (target == lead) move(lead, lead.scrollLeft, lead.scrollTop);
  });
  on(figure, "pointermove", ({ pointerType, clientX, clientY }) => {
    if (!lead || pointerType != "mouse") return;
    const { left, top } = lead.getBoundingClientRect();
    move(lead, (clientX - left) * 3, (clientY - top) * 3);
  });
}

const box = document.querySelector("dialog");
const [place, frame, caption] = [".place", ".frame", ".caption"].map(name => box.querySelector(name));
let links = [], at = 0;
const show = step => {
  at = (at + step + links.length) % links.length;
  const picture = links[at].querySelector("picture, img").cloneNode(true);
  frame.replaceChildren(picture);
  for (const each of all("source, img", frame)) each.sizes = "1024px";
  const image = frame.querySelector("img"), room = Math.min(innerWidth - 40, innerHeight - 230);
  if (image.className) image.style.width = Math.max(1, Math.floor(room / image.width)) * image.width + "px";
  place.textContent = `${at + 1} of ${links.length}: ${image.alt}`;
};
on(document, "click", event => {
  const link = event.target.closest(".full");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  const figure = link.closest("figure");
  links = all(".full", figure);
  at = links.indexOf(link);
  caption.innerHTML = figure.querySelector(".caption").innerHTML;
  show(0);
  link.focus();
  box.showModal();
});
on(box, "click", ({ target }) => {
  const step = target.dataset.step;
  if (target == box || step == "0" || target.closest("a")) box.close();
  else if (step) show(+step);
});
on(box, "keydown", ({ key, target }) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (step && target != frame) show(step); // it scrolls
});

for (const button of all(".copy")) on(button, "click", async () => {
  const code = button.parentElement.querySelector("code");
  getSelection().selectAllChildren(code);
  await navigator.clipboard.writeText(code.textContent);
  button.textContent = "Copied";
});

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
