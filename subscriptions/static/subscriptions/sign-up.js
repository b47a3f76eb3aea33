"use strict";
// What the sign-up form is better with, and works without: the browser's time zone, suggestions of topics, and, while
// many ask at once, some work that a person does not notice and a flood does.
(() => {
  const form = document.querySelector("form.sign-up");
  const fields = form.elements;
  fields.time_zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";

  const answer = async (address) => {
    try {
      const response = await fetch(address, { credentials: "omit", headers: { Accept: "application/json" } });
      return response.ok ? await response.json() : null;
    } catch {
      return null;
    }
  };

  const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  // ALTCHA's protocol: the number below `maxnumber` whose SHA-256 with the salt before it is `challenge`.
  const solve = async (work) => {
    const encoder = new TextEncoder();
    for (let number = 0; number <= work.maxnumber; number += 1) {
      const digest = await crypto.subtle.digest("SHA-256", encoder.encode(work.salt + number));
      if (hex(digest) === work.challenge) {
        const { algorithm, challenge, salt, signature } = work;
        return btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
      }
    }
    return "";
  };

  let prepared = null;
  const prepare = () => {
    prepared ??= (async () => {
      const given = await answer(form.dataset.challenge);
      if (!given) return;
      fields.form.value = given.form;
      if (given.work && globalThis.crypto?.subtle) fields.proof.value = await solve(given.work);
    })();
    return prepared;
  };
  form.addEventListener("focusin", prepare, { once: true });
  form.addEventListener("submit", async (event) => {
    if (form.dataset.ready) return;
    event.preventDefault();
    form.querySelector("button").disabled = true;
    await prepare();
    form.dataset.ready = "1";
    form.submit();
  });
  // A page that comes back from the browser's memory holds a proof that was used.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    prepared = null;
    delete form.dataset.ready;
    fields.form.value = fields.proof.value = "";
    form.querySelector("button").disabled = false;
  });

  // The list follows the topic that is being typed, behind the last comma.
  const list = document.getElementById("topic-suggestions");
  let waiting = 0;
  fields.topics.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const at = fields.topics.value.lastIndexOf(",") + 1;
      const before = fields.topics.value.slice(0, at) + (at ? " " : "");
      const typed = fields.topics.value.slice(at).trim();
      if (typed.length < 2) return;
      const found = await answer(`${form.dataset.suggest}?q=${encodeURIComponent(typed)}`);
      if (!Array.isArray(found)) return;
      list.replaceChildren(...found.slice(0, 8).map((topic) => new Option("", before + topic)));
    }, 200);
  });
})();
