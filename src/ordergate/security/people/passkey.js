// Asks the authenticator for what the page says, and sends its answer with the page's own form. Nothing else.
"use strict";
(() => {
  const form = document.querySelector("form[data-options]");
  const told = form.querySelector("[role=status]");

  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  const wanted = JSON.parse(form.dataset.options);
  wanted.challenge = bytes(wanted.challenge);
  if (wanted.user) wanted.user.id = bytes(wanted.user.id);
  for (const known of wanted.excludeCredentials ?? []) known.id = bytes(known.id);

  async function ask() {
    told.textContent = "";
    try {
      const made = form.dataset.ceremony === "make";
      const kept = made
        ? await navigator.credentials.create({ publicKey: wanted })
        : await navigator.credentials.get({ publicKey: wanted });
      const response = {};
      for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
        if (kept.response[name]) response[name] = text(kept.response[name]);
      form.elements.credential.value = JSON.stringify(
        { id: kept.id, rawId: text(kept.rawId), type: kept.type, response });
      form.submit();
    } catch (error) {
      told.textContent = error.name === "InvalidStateError"
        ? "This authenticator has a passkey of yours already."
        : `No passkey was used (${error.name}). Try again.`;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  // Whoever came here by a button has said what they want; browsers that want to hear it here ask for the button.
  if (form.dataset.ceremony === "show") ask();
})();
