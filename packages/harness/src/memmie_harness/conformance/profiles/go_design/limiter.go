package main

import (
	"sync"
	"time"
)

// farAbove is a rate a second that is counted all the same, and never reached.
const farAbove = 1_000_000

// limiter is a token bucket for each address or user, which holds a second's worth. It forgets none: a benchmark is short.
type limiter struct {
	mutex   sync.Mutex
	rate    float64
	buckets map[string]*bucket
}

type bucket struct {
	left    float64
	settled time.Time
}

func newLimiter(rate float64) *limiter {
	return &limiter{rate: rate, buckets: map[string]*bucket{}}
}

// allow takes one token if there is one.
func (l *limiter) allow(key string, now time.Time) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	b := l.buckets[key]
	if b == nil {
		b = &bucket{left: l.rate, settled: now}
		l.buckets[key] = b
	}
	if passed := now.Sub(b.settled).Seconds(); passed > 0 {
		b.left += passed * l.rate
		b.settled = now
	}
	if b.left > l.rate {
		b.left = l.rate
	}
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// wait takes one token, and slows its caller down until there is one.
func (l *limiter) wait(key string, now time.Time) {
	for !l.allow(key, now) {
		time.Sleep(time.Duration(float64(time.Second) / l.rate))
		now = time.Now()
	}
}
