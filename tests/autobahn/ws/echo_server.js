// An echo server, which the fuzzing client tests. Its port is its first line of output, in JSON.
'use strict';

const { WebSocketServer } = require('ws');

const options = require('./options');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });

server.on('connection', (socket) => {
  socket.on('error', () => {}); // a violation, after which ws itself closes the connection
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.on('listening', () => {
  console.log(JSON.stringify({ event: 'listening', port: server.address().port }));
});
