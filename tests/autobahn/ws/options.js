// The options of the echo server and the echo client.
'use strict';

module.exports = {
  perMessageDeflate: { zlibDeflateOptions: { level: 1 } }, // quick: some cases compress 128 MB
  maxFragments: 0, // no limit of its own: some cases send 65,536 fragments in one message
  maxBufferedChunks: 0,
};
