package main

import (
	"time"

	"github.com/gorilla/websocket"
)

const closeSeconds = time.Second

// session is one client with its connection to the backend.
type session struct {
	user         string
	client       *websocket.Conn
	backend      *websocket.Conn
	limiter      *limiter
	lastActivity activity
}

// run copies messages both ways until one side ends, ends the other, and returns why.
func (s *session) run() error {
	s.client.SetReadLimit(maxMessageBytes)
	s.backend.SetReadLimit(maxMessageBytes)
	ended := make(chan error, 2)
	go s.pump(s.client, s.backend, toBackend, ended)
	go s.pump(s.backend, s.client, toClient, ended)
	reason := <-ended
	s.client.Close()
	s.backend.Close()
	<-ended
	return reason
}

// pump copies messages one way, and passes on the Close that ends them.
func (s *session) pump(from, to *websocket.Conn, way direction, ended chan<- error) {
	for {
		kind, message, err := from.ReadMessage()
		if err != nil {
			to.WriteControl(websocket.CloseMessage, closeFrame(err), time.Now().Add(closeSeconds))
			ended <- err
			return
		}
		received := time.Now()
		s.lastActivity.set(received)
		if way == toBackend {
			s.limiter.wait(s.user, received)
		}
		if err := to.WriteMessage(kind, message); err != nil {
			ended <- err
			return
		}
		counted[way].message(len(message), time.Since(received))
	}
}

func closeFrame(err error) []byte {
	if closed, ok := err.(*websocket.CloseError); ok && closed.Code != websocket.CloseNoStatusReceived && closed.Code != websocket.CloseAbnormalClosure {
		return websocket.FormatCloseMessage(closed.Code, closed.Text)
	}
	return websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
}
