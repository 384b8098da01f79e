// A WebSocket client for browsers and Node.js 22 that reconnects as docs/connect.md advises; copy it into your app.
// Older Node.js has no WebSocket: run `node --experimental-websocket` (20.10 or newer), or pass the class of a library.
//
// const client = connect("wss://gateway.example.com/ws", {
//   token: async ({ fresh }) => "…", // `fresh`: the last token is or may be refused; null: nobody is signed in
//   onOpen() {},
//   onMessage(data) {}, // a string or an ArrayBuffer
//   onWait({ seconds, code, reason }) {}, // it reconnects after these seconds
//   onEnd({ code, reason }) {}, // it does not reconnect
//   // WebSocket: require("ws"), // another class than the global one
// });
// client.send("hello"); // false, and nothing is sent, while there is no connection
// client.close();

const RECONNECT = new Set([
  1001, // the gateway shuts down, or the connection was idle
  1006, // the connection was lost
  1008, // too many messages, or the first message came too late
  1011, // the gateway failed
  1012, // the backend is gone, or the gateway moves this user
  1013, // not available now
  4408, // the handshake took too long
  4429, // too many connections, or connecting too often
  4500, // the gateway failed; from here on only with BROWSER_REFUSALS
  4502, // Auth's answer about the token cannot be used
  4503, // Auth or Studio is not available now
]);

/** What to do after a connection that was open ended with this close code: "reconnect", "new token" or "stop". */
export function advice(code) {
  if (code === 4401) return "new token"; // it expired, or was revoked
  return RECONNECT.has(code) ? "reconnect" : "stop";
}

const nothing = () => {};

/** Connect, and stay connected. `after` replaces `advice`, for example for codes of your own backend. */
export function connect(url, { token, onOpen = nothing, onMessage = nothing, onWait = nothing, onEnd = nothing,
  after = advice, firstDelay = 0.5, longestDelay = 30, stableSeconds = 10, freshSeconds = 60,
  WebSocket = globalThis.WebSocket }) {
  let socket = null;
  let timer = null;
  let ended = false;
  let fresh = false; // whether the next token must be a new one
  let freshAt = -Infinity; // when a new token was last asked for because the cause was unknown
  let failures = 0; // since a connection was stable

  async function open() {
    let bearer;
    try {
      bearer = await token({ fresh });
    } catch (error) {
      return wait(1006, `no token: ${error.message}`);
    }
    if (ended) return;
    if (bearer === null) return end(4401, "nobody is signed in");
    let openedAt = null;
    let mine;
    try {
      mine = new WebSocket(url, ["bearer", bearer]);
    } catch (error) {
      return end(1006, `no WebSocket: ${error.message}`); // it would fail again
    }
    mine.binaryType = "arraybuffer";
    mine.onopen = () => {
      openedAt = Date.now();
      onOpen();
    };
    mine.onmessage = ({ data }) => onMessage(data);
    const lost = ({ code, reason }) => {
      if (ended || mine !== socket) return;
      socket = null;
      const next = openedAt === null ? unopened() : after(code, reason);
      if (next === "stop") return end(code, reason);
      fresh = next === "new token";
      if (openedAt !== null && Date.now() - openedAt >= stableSeconds * 1000) failures = 0;
      wait(code, reason);
    };
    mine.onclose = lost;
    // Node.js 20 reports a refused handshake only as an error.
    mine.onerror = () => openedAt === null && lost({ code: 1006, reason: "" });
    socket = mine;
  }

  function unopened() {
    // The browser hides why a connection could not be opened. It is seldom the token, and signing in costs something.
    if (Date.now() - freshAt < freshSeconds * 1000) return "reconnect";
    freshAt = Date.now();
    return "new token";
  }

  function wait(code, reason) {
    if (ended) return;
    // Random, because many clients lose their connections at the same time.
    const seconds = Math.random() * Math.min(longestDelay, firstDelay * 2 ** failures);
    failures += 1;
    timer = setTimeout(open, seconds * 1000);
    onWait({ seconds, code, reason });
  }

  function end(code, reason) {
    ended = true;
    onEnd({ code, reason });
  }

  open();
  return {
    send(data) {
      if (socket?.readyState !== 1) return false;
      socket.send(data);
      return true;
    },
    close(code = 1000, reason = "") {
      ended = true;
      clearTimeout(timer);
      socket?.close(code, reason);
    },
  };
}
