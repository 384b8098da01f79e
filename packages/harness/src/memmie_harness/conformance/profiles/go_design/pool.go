package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// pool knows the sessions of each user.
type pool struct {
	mutex    sync.Mutex
	last     uint64
	sessions map[string]map[uint64]*session
}

func newPool() *pool {
	return &pool{sessions: map[string]map[uint64]*session{}}
}

func (p *pool) add(s *session) uint64 {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.last++
	if p.sessions[s.user] == nil {
		p.sessions[s.user] = map[uint64]*session{}
	}
	p.sessions[s.user][p.last] = s
	connections.Add(1)
	return p.last
}

func (p *pool) remove(s *session, id uint64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.sessions[s.user], id)
	if len(p.sessions[s.user]) == 0 {
		delete(p.sessions, s.user)
	}
	connections.Add(-1)
}

// activity is when a session last carried a message, written by both of its goroutines.
type activity struct{ nanoseconds atomic.Int64 }

func (a *activity) set(at time.Time) { a.nanoseconds.Store(at.UnixNano()) }
