/* What HTML and CSS cannot do: sliders, loupe, lightbox, copying, the reader's place. Without it the page is whole. */
"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

const controls = {
  slide(stage, dial, figure) {
    const stop = dial.list.options[dial.value];
    all("tbody tr, .row", figure).forEach((row, index) => {
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
    return dial.value + "% " + dial.labels[0].textContent;
  },
  distance(stage, dial) {
    stage.style.setProperty("--far", 1 / dial.value);
    stage.classList.toggle("away", dial.value > 1);
    return dial.value + " × the distance";
  },
};

for (const dial of all(".stage input[type=range]")) {
  const stage = dial.closest(".stage"), output = stage.querySelector("output");
  const kind = stage.classList[1];
  const update = () => {
    const text = controls[kind](stage, dial, stage.closest("figure"));
    dial.setAttribute("aria-valuetext", text);
    if (output) output.value = text;
  };
  dial.addEventListener("input", update);
  update();
  if (kind == "wipe") for (const frame of all(".frame", stage)) {
    const drag = event => {
      if (event.buttons) dial.value = event.offsetX / frame.clientWidth * 100;
      update();
    };
    frame.addEventListener("pointerdown", drag);
    frame.addEventListener("pointermove", drag);
  }
}

for (const loupe of all(".loupe input")) {
  const figure = loupe.closest("figure");
  const move = (link, x, y) => {
    for (const other of all(".full", link.closest("tr, .row"))) other.scrollTo({ left: x, top: y, behavior: "instant" });
  };
  loupe.addEventListener("change", () => {
    for (const each of all("source, img", figure)) each.sizes = loupe.checked ? "1024px" : "256px";
    for (const link of all(".full", figure)) move(link, 1.5 * link.clientWidth, 1.5 * link.clientWidth);
  });
  figure.addEventListener("scroll", ({ target }) => move(target, target.scrollLeft, target.scrollTop), true);
  figure.addEventListener("pointermove", event => {
    const link = event.pointerType == "mouse" && event.target.closest(".full");
    if (!link) return;
    const { left, top } = link.getBoundingClientRect();
    move(link, (event.clientX - left) * 3, (event.clientY - top) * 3);
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
document.addEventListener("click", event => {
  const link = event.target.closest("a.full");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  const figure = link.closest("figure");
  links = all("a.full", figure);
  at = links.indexOf(link);
  caption.innerHTML = figure.querySelector(".caption").innerHTML;
  show(0);
  link.focus();
  box.showModal();
});
box.addEventListener("click", ({ target }) => {
  const step = target.dataset.step;
  if (target == box || step == "0" || target.closest("a")) box.close();
  else if (step) show(+step);
});
box.addEventListener("keydown", ({ key, target }) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (step && target != frame) show(step);
});

for (const button of all(".copy")) button.addEventListener("click", async () => {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
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
