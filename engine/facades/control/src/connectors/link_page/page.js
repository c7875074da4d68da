"use strict";
// The page on which somebody links an account. Its address is /link/{token}; it asks /link/{token}/state how far linking is, and shows
// the section of that stage. An answer of a passkey comes from the extension (a message, or the address behind the #) or is pasted.
(() => {
  const WHATSAPP = "https://web.whatsapp.com";
  const base = location.pathname.replace(/\/$/, "");
  const find = (id) => document.getElementById(id);
  // Stages after which nothing follows.
  const LAST = ["DONE", "OVER"];
  let shown = {};
  let busy = false;
  // After an answer, the channel takes a while: until then the page does not offer to begin anew.
  let patientUntil = 0;

  const encode = (value) => {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const decode = (text) => {
    const bytes = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  };

  const complain = (text) => {
    const problem = find("problem");
    problem.hidden = !text;
    problem.textContent = text || "";
  };

  const show = (state) => {
    shown = state;
    let stage = state.stage;
    if (stage === "START" && state.reason && Date.now() < patientUntil) stage = "WAIT";
    if (stage !== "START" && stage !== "WAIT") patientUntil = 0;
    for (const section of document.querySelectorAll("section")) section.hidden = section.dataset.stage !== stage;
    if (state.qrCode) find("qr").src = state.qrCode;
    if (state.pairingCode) find("typed").textContent = state.pairingCode;
    if (stage === "COMPARE") find("compared").textContent = (state.linkStep.options || {}).code || "";
    const reason = find("reason");
    reason.hidden = !state.reason;
    reason.querySelector("span").textContent = state.reason || "";
  };

  const request = async (path, body) => {
    const post = body === undefined ? {} : { method: "POST" };
    if (body) Object.assign(post, { headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const response = await fetch(base + path, { ...post, cache: "no-store" });
    if (response.status === 404) return { stage: "OVER" };
    const said = await response.json();
    if (!response.ok) throw new Error((said.error && said.error.message) || document.body.dataset.failed);
    return said;
  };

  const act = async (path, body) => {
    if (busy) return;
    busy = true;
    complain("");
    for (const button of document.querySelectorAll("button")) button.disabled = true;
    try {
      const state = await request(path, body);
      if (path === "/answer") patientUntil = Date.now() + 15000;
      show(state);
    } catch (error) {
      complain(error.message || document.body.dataset.failed);
    } finally {
      busy = false;
      for (const button of document.querySelectorAll("button")) button.disabled = false;
    }
  };

  const give = (assertion) => {
    const step = shown.linkStep;
    if (!step || !assertion || typeof assertion !== "object") return complain(document.body.dataset.unread);
    return act("/answer", { id: step.id, assertion });
  };

  const watch = async () => {
    if (!busy) {
      try {
        const state = await request("/state");
        if (!busy) show(state);
      } catch {
        // The engine may be away for a moment: the next look shows.
      }
    }
    if (!LAST.includes(shown.stage)) setTimeout(watch, 2000);
  };

  find("start").addEventListener("click", () => act("/open", null));
  find("ask").addEventListener("click", () => {
    const step = shown.linkStep;
    if (!step) return;
    const asked = encode({ id: step.id, options: step.options, returnTo: location.origin + base });
    // With its opener, so that the answer can come as a message; the extension falls back to the address.
    window.open(`${WHATSAPP}/#pombo-passkey=${asked}`, "pombo-passkey");
  });
  find("give").addEventListener("click", () => {
    try {
      give(JSON.parse(find("answer").value));
    } catch {
      complain(document.body.dataset.unread);
    }
  });
  find("same").addEventListener("click", () => act("/answer", { id: shown.linkStep.id, confirm: true }));
  find("other").addEventListener("click", () => act("/answer", { id: shown.linkStep.id, confirm: false }));
  window.addEventListener("message", (event) => {
    const said = event.data;
    if (event.origin !== WHATSAPP || !said || said.type !== "pombo-passkey") return;
    if (shown.linkStep && said.id === shown.linkStep.id) give(said.assertion);
  });

  // What the extension brought by the address is taken out of it, and given once the step is known.
  const brought = location.hash.match(/^#pombo-assertion=([A-Za-z0-9_-]+)$/);
  if (brought) {
    history.replaceState(null, "", base);
    request("/state").then((state) => {
      show(state);
      const { id, assertion } = decode(brought[1]);
      if (state.linkStep && state.linkStep.id === id) give(assertion);
    }).catch(() => complain(document.body.dataset.unread));
  }
  watch();
})();
