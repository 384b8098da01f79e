// A WebSocket gateway in Go on gorilla/websocket, the way such a gateway is commonly drawn up: ask Auth whose the token
// is, upgrade, dial the backend, and copy messages with two goroutines a connection.
// Usage: main BACKEND_URL AUTH_URL. It prints its port as one line of JSON, and its log to standard error.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const maxMessageBytes = 1 << 20

var errRefused = errors.New("refused")

type gateway struct {
	backend  string
	auth     string
	upgrader websocket.Upgrader
	asking   *http.Client
	pool     *pool
	connects *limiter // by address
	messages *limiter // by user
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: main BACKEND_URL AUTH_URL")
	}
	g := &gateway{
		backend:  os.Args[1],
		auth:     os.Args[2] + "/api/v1/auth/validate",
		upgrader: websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, CheckOrigin: func(*http.Request) bool { return true }},
		// The default keeps two idle connections to a host, and would dial Auth for most clients.
		asking:   &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		pool:     newPool(),
		connects: newLimiter(farAbove),
		messages: newLimiter(farAbove),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/ws", g.serve)
	http.HandleFunc("/metrics", writeMetrics)
	fmt.Printf("{\"event\":\"listening\",\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, nil))
}

// serve lets a client in, and carries its messages until either side ends.
func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	if !g.connects.allow(address, time.Now()) {
		http.Error(w, "too many connections", http.StatusTooManyRequests)
		return
	}
	user, err := g.ask(tokenOf(r))
	if errors.Is(err, errRefused) {
		http.Error(w, "invalid token", http.StatusUnauthorized)
		return
	} else if err != nil {
		log.Printf("auth unavailable address=%s error=%q", address, err)
		http.Error(w, "auth unavailable", http.StatusServiceUnavailable)
		return
	}
	backend, _, err := websocket.DefaultDialer.Dial(g.backend+"?user_id="+url.QueryEscape(user), nil)
	if err != nil {
		log.Printf("backend unavailable user=%s error=%q", user, err)
		http.Error(w, "backend unavailable", http.StatusServiceUnavailable)
		return
	}
	client, err := g.upgrader.Upgrade(w, r, nil)
	if err != nil {
		backend.Close()
		return
	}
	s := &session{user: user, client: client, backend: backend, limiter: g.messages}
	id := g.pool.add(s)
	log.Printf("connected id=%d user=%s address=%s", id, user, address)
	started := time.Now()
	err = s.run()
	g.pool.remove(s, id)
	log.Printf("closed id=%d user=%s seconds=%.3f reason=%q", id, user, time.Since(started).Seconds(), err)
}

// ask returns whose the token is, errRefused if it is nobody's. It asks Auth each time.
func (g *gateway) ask(token string) (string, error) {
	if token == "" {
		return "", errRefused
	}
	request, err := http.NewRequest(http.MethodPost, g.auth, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := g.asking.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var verdict struct {
		Valid  bool   `json:"valid"`
		UserID string `json:"user_id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&verdict); err != nil {
		return "", err
	}
	switch {
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusOK && !verdict.Valid:
		return "", errRefused
	case response.StatusCode != http.StatusOK:
		return "", fmt.Errorf("auth answered %d", response.StatusCode)
	}
	return verdict.UserID, nil
}

func tokenOf(r *http.Request) string {
	if token := r.URL.Query().Get("token"); token != "" {
		return token
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}
