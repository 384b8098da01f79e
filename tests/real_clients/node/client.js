// One client with socket.io-client: it does what each line of its input says, and tells what happens, both as JSON.
import readline from "node:readline";
import { io } from "socket.io-client";

const { url, token, transports } = JSON.parse(process.argv[2]);
const tell = (...words) => console.log(JSON.stringify(words));
const socket = io(url, {
  auth: { token },
  reconnectionDelay: 20,
  reconnectionDelayMax: 50,
  ...(transports && { transports }),
});

socket.on("connect", () => tell("connect"));
socket.on("connect_error", (error) => tell("connect_error", error.message, error.data ?? null));
socket.on("disconnect", (reason) => tell("disconnect", reason));
socket.onAny((name, ...data) => tell("event", name, ...data));

const verbs = {
  emit: (...event) => socket.emit(...event),
  ask: async (...event) => tell("answer", await socket.timeout(5000).emitWithAck(...event)),
  transport: () => tell("transport", socket.io.engine.transport.name),
  leave: () => socket.disconnect(),
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [verb, ...rest] = JSON.parse(line);
  verbs[verb](...rest);
}
process.exit();
