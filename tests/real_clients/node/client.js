// Clients in Node.js: each line of the input tells one of them what to do, and each line of the output is what one tells.
import readline from "node:readline";
import { io } from "socket.io-client";
import WebSocket from "ws";
import { serve } from "./clients.js";

const obey = serve({ io, WebSocket }, console.log);
for await (const line of readline.createInterface({ input: process.stdin })) obey(line);
process.exit();
