"use strict";
// Runs on WhatsApp Web, in the page's own world, because only a page of WhatsApp may ask for its passkeys. A Pombo page hands over the
// question behind the # of the address; a person presses a button; the answer goes back to that page, as a message or by its address.
(() => {
  const origins = globalThis.pomboOrigins || [];
  delete globalThis.pomboOrigins;
  const asked = location.hash.match(/^#pombo-passkey=([A-Za-z0-9_-]+)$/);
  if (!asked) return;
  // WhatsApp Web does not need to see it.
  history.replaceState(null, "", location.pathname);

  const bytesOf = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const textOf = (buffer) => {
    let text = "";
    for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
    return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };

  // The question, if it comes from a page that may ask.
  const question = () => {
    const { id, options, returnTo } = JSON.parse(new TextDecoder().decode(bytesOf(asked[1])));
    const page = new URL(returnTo);
    const local = ["localhost", "127.0.0.1"].includes(page.hostname);
    if (!origins.includes(page.origin)) throw new Error(`${page.origin} is not in origins.js of this extension`);
    if (page.protocol !== "https:" && !local) throw new Error("the page that asks is not encrypted");
    if (!page.pathname.startsWith("/link/")) throw new Error("the page that asks is not one that links an account");
    return { id, options, page };
  };

  const publicKey = (options) => {
    if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(options);
    const allowed = (options.allowCredentials || []).map((one) => ({ ...one, id: bytesOf(one.id) }));
    return { ...options, challenge: bytesOf(options.challenge), allowCredentials: allowed };
  };

  const written = (credential) => {
    if (credential.toJSON) return credential.toJSON();
    const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
    const response = { clientDataJSON: textOf(clientDataJSON), authenticatorData: textOf(authenticatorData), signature: textOf(signature) };
    if (userHandle) response.userHandle = textOf(userHandle);
    return { id: credential.id, rawId: textOf(credential.rawId), type: credential.type, response };
  };

  const giveBack = ({ id, page }, assertion) => {
    if (window.opener) {
      window.opener.postMessage({ type: "pombo-passkey", id, assertion }, page.origin);
      return "Done. Go back to the page that asked; this one can be closed.";
    }
    // WhatsApp's page may cut the tie to the page that opened it; an address still goes through.
    const brought = textOf(new TextEncoder().encode(JSON.stringify({ id, assertion })));
    location.assign(`${page.origin}${page.pathname}#pombo-assertion=${brought}`);
    return "Going back …";
  };

  // Elements and styles by script alone: WhatsApp's policy forbids markup and style sheets of others.
  const panel = () => {
    const host = document.createElement("div");
    const root = host.attachShadow({ mode: "closed" });
    const text = document.createElement("p");
    const button = document.createElement("button");
    Object.assign(host.style, { position: "fixed", inset: "0 0 auto 0", zIndex: "2147483647", padding: "16px",
      background: "#fff", color: "#111", font: "16px/1.4 sans-serif", boxShadow: "0 2px 12px #0006" });
    Object.assign(button.style, { font: "inherit", padding: "8px 16px" });
    root.append(text, button);
    document.body.append(host);
    return { text, button };
  };

  const begin = () => {
    const { text, button } = panel();
    try {
      const asks = question();
      text.textContent = `${asks.page.origin} asks for the passkey of your WhatsApp account, to link the account there.`;
      button.textContent = "Use my passkey";
      // Browsers ask for a passkey only after a press.
      button.addEventListener("click", async () => {
        button.disabled = true;
        try {
          const credential = await navigator.credentials.get({ publicKey: publicKey(asks.options) });
          text.textContent = giveBack(asks, written(credential));
          button.remove();
        } catch (error) {
          text.textContent = `The passkey was not given: ${error.message}`;
          button.disabled = false;
        }
      });
    } catch (error) {
      text.textContent = `Pombo’s extension gives no answer: ${error.message}.`;
      button.remove();
    }
  };
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin, { once: true });
})();
