// Runs the cases of a fuzzing server one after the other, and echoes what it receives.
// Usage: node echo_client.js AGENT CASES URL [TOKEN]
'use strict';

const WebSocket = require('ws');

const options = require('./options');

const [agent, cases, url, token] = process.argv.slice(2);
const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };

function run(number) {
  const socket = new WebSocket(`${url}?case=${number}&agent=${agent}`, { headers, ...options });
  return new Promise((resolve) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on('error', () => {}); // a violation, after which ws itself closes the connection
    socket.on('close', resolve);
  });
}

async function main() {
  for (let number = 1; number <= Number(cases); number += 1) {
    await run(number);
    console.log(number);
  }
}

main();
