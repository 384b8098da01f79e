package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

type direction int

const (
	toBackend direction = iota
	toClient
)

// connections is how many are open, counted what they have carried: plain atomics, added up when somebody asks.
var (
	connections atomic.Int64
	counted     [2]counters
	directions  = [2]string{"client->backend", "backend->client"}
	bounds      = [...]time.Duration{50 * time.Microsecond, 100 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond}
)

type counters struct {
	messages, bytes, nanoseconds atomic.Uint64
	latency                      [len(bounds) + 1]atomic.Uint64
}

// message counts one, and how long it spent here.
func (c *counters) message(size int, spent time.Duration) {
	c.messages.Add(1)
	c.bytes.Add(uint64(size))
	c.nanoseconds.Add(uint64(spent))
	place := 0
	for place < len(bounds) && spent > bounds[place] {
		place++
	}
	c.latency[place].Add(1)
}

func writeMetrics(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "gateway_websocket_connections %d\n", connections.Load())
	for way, name := range directions {
		c := &counted[way]
		fmt.Fprintf(w, "gateway_websocket_messages_total{direction=%q} %d\n", name, c.messages.Load())
		fmt.Fprintf(w, "gateway_websocket_bytes_total{direction=%q} %d\n", name, c.bytes.Load())
		fmt.Fprintf(w, "gateway_websocket_latency_seconds_sum{direction=%q} %g\n", name, float64(c.nanoseconds.Load())/1e9)
		below := uint64(0)
		for place, bound := range bounds {
			below += c.latency[place].Load()
			fmt.Fprintf(w, "gateway_websocket_latency_seconds_bucket{direction=%q,le=\"%g\"} %d\n", name, bound.Seconds(), below)
		}
		fmt.Fprintf(w, "gateway_websocket_latency_seconds_count{direction=%q} %d\n", name, c.messages.Load())
	}
}
