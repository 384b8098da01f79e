// An echo server, which the fuzzing client tests. Its port is its first line of output, in JSON.
'use strict';

const { WebSocketServer } = require('ws');

// 0: no limits of its own on fragments, of which some cases send 65,536 in one message.
const options = { perMessageDeflate: true, maxFragments: 0, maxBufferedChunks: 0 };
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });

server.on('connection', (socket) => {
  socket.on('error', () => {}); // a violation, after which ws itself closes the connection
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.on('listening', () => {
  console.log(JSON.stringify({ event: 'listening', port: server.address().port }));
});
