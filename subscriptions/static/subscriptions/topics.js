"use strict";
// Beside each topic: about how much it would have found a day. Asked for when the topic comes into view, one after the
// other, and again when its query is changed.
(() => {
  const PAUSE = 400;
  let asked = Promise.resolve();

  const ask = async (output, field) => {
    const query = field.value.trim();
    if (!query) {
      output.textContent = "";
      return;
    }
    try {
      const response = await fetch(`${output.dataset.rate}?q=${encodeURIComponent(query)}`);
      const found = await response.json();
      if (field.value.trim() === query) output.textContent = found.said;
    } catch {
      output.textContent = "";
    }
  };

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      asked = asked.then(() => ask(target, document.getElementById(target.dataset.of)));
    }
  });

  for (const output of document.querySelectorAll("[data-rate]")) {
    const field = document.getElementById(output.dataset.of);
    let waiting = 0;
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => ask(output, field), PAUSE);
    });
    seen.observe(output);
  }
})();
