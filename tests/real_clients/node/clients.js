// Clients of every kind, for Node.js and for a page: each does what it is told, and tells what happens to it.
import { advice } from "./reconnecting.js";

const SOON = 20; // milliseconds
const pause = () => new Promise((done) => setTimeout(done, 2 * SOON));

/** Return the clients by kind; each is started with its address and token, and a function that it tells everything. */
function kinds({ io, WebSocket, EventSource }) {
  function socketio({ url, token, transports }, tell) {
    const socket = io(url, {
      auth: { token },
      forceNew: true,
      reconnectionDelay: SOON,
      reconnectionDelayMax: 2 * SOON,
      ...(transports && { transports }),
    });
    socket.on("connect", () => tell("connect"));
    socket.on("connect_error", (error) => tell("connect_error", error.message, error.data ?? null));
    socket.on("disconnect", (reason) => tell("disconnect", reason));
    socket.onAny((name, ...data) => tell("event", name, ...data));
    return {
      again: (other) => { socket.auth = { token: other }; socket.connect(); },
      ask: async (...event) => tell("answer", await socket.timeout(5000).emitWithAck(...event)),
      emit: (...event) => socket.emit(...event),
      leave: () => socket.disconnect(),
      transport: () => tell("transport", socket.io.engine.transport.name),
    };
  }

  function websocket({ url, token }, tell) {
    let socket, timer, left = false, asked = 0;
    function open() {
      clearTimeout(timer);
      socket = new WebSocket(`${url.replace("http", "ws")}/ws`, token ? ["bearer", token] : []);
      socket.onopen = () => tell("connect");
      socket.onerror = ({ message }) => message && tell("error", message);
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.id === `${asked}`) tell("answer", message);
        else tell("event", message.type, message.data);
      };
      socket.onclose = ({ code, reason }) => {
        tell("disconnect", code, reason);
        if (advice(code) === "reconnect" && !left) timer = setTimeout(open, SOON);
      };
    }
    open();
    return {
      again: (other) => { token = other; if (socket.readyState > 1) open(); },
      ask: (type, data) => socket.send(JSON.stringify({ id: `${++asked}`, type, data })),
      leave: () => { left = true; clearTimeout(timer); socket.close(); },
    };
  }

  function events({ url, token }, tell) {
    let source, timer;
    function open() {
      source = new EventSource(`${url}/api/v1/events${token ? `?token=${token}` : ""}`);
      source.onopen = () => tell("connect");
      source.onmessage = ({ data }) => { const { type, data: what } = JSON.parse(data); tell("event", type, what); };
      source.onerror = () => {
        const refused = source.readyState === EventSource.CLOSED; // it does not try again by itself
        tell(refused ? "refused" : "disconnect");
        if (refused) timer = setTimeout(open, 2 * SOON);
      };
    }
    open();
    return {
      again: (other) => { token = other; },
      ask: () => ask(url, token, tell),
      leave: () => { clearTimeout(timer); source.close(); },
    };
  }

  function stream({ url, token }, tell) {
    const leaving = new AbortController();
    async function read() {
      const answer = await fetch(`${url}/api/v1/events`, { headers: bearer(token), signal: leaving.signal });
      if (!answer.ok) return tell("refused", answer.status, (await answer.json()).code);
      tell("connect");
      const parts = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (let part; !(part = await parts.read()).done;) {
        const lines = (rest + part.value).split("\n");
        rest = lines.pop();
        for (const [, text] of lines.map((line) => line.match(/^data: (.*)/)).filter(Boolean)) {
          const { type, data } = JSON.parse(text);
          tell("event", type, data);
        }
      }
      tell("disconnect", "complete"); // in Node.js also if it was cut
    }
    async function readAlways() {
      while (!leaving.signal.aborted) {
        await read().catch(({ name }) => tell("disconnect", name));
        await pause();
      }
    }
    readAlways();
    return {
      again: (other) => { token = other; },
      ask: () => ask(url, token, tell),
      leave: () => leaving.abort(),
    };
  }

  return { socketio, websocket, events, stream };
}

const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

async function ask(url, token, tell) {
  const { status } = await fetch(`${url}/api/v1/books`, { headers: bearer(token) }).catch(({ name }) => ({ status: name }));
  tell("answer", { type: status === 200 ? "ack" : `${status}` });
}

/** Return a function that does what a line says; `say` is given the lines of the clients. */
export function serve(libraries, say) {
  const clients = new Map();
  const starts = kinds(libraries);
  return (line) => {
    const [number, verb, ...rest] = JSON.parse(line);
    const tell = (...words) => say(JSON.stringify([number, ...words]));
    if (verb === "start") clients.set(number, starts[rest[0]](rest[1], tell));
    else clients.get(number)[verb](...rest);
  };
}
