// A webhook receiver in plain Go behind verigate: every request that arrives here is genuine and new.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
)

var seen = []string{
	"X-Verigate-Event-Id",
	"X-Verigate-Event-Type",
	"X-Verigate-Verdict",
	"X-Verigate-Secret",
	"X-Webhook-Signature-256",
	"X-Forwarded-For",
}

type entry struct {
	Path    string             `json:"path"`
	SHA256  string             `json:"sha256"`
	Length  int                `json:"length"`
	Headers map[string]*string `json:"headers"`
}

var writing sync.Mutex

func receive(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the body broke off", http.StatusBadRequest)
		return
	}
	sum := sha256.Sum256(body)
	e := entry{Path: r.URL.Path, SHA256: hex.EncodeToString(sum[:]), Length: len(body), Headers: map[string]*string{}}
	for _, name := range seen {
		e.Headers[name] = value(r, name)
	}
	if err := note(e); err != nil {
		http.Error(w, "cannot note it", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]*string{"received": e.Headers["X-Verigate-Event-Id"]})
}

func value(r *http.Request, name string) *string {
	values := r.Header.Values(name)
	if len(values) == 0 {
		return nil
	}
	return &values[0]
}

func note(e entry) error {
	path := os.Getenv("RECEIVED")
	if path == "" {
		return nil
	}
	writing.Lock()
	defer writing.Unlock()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	return json.NewEncoder(file).Encode(e)
}

func main() {
	port := os.Getenv("PORT")
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	if port == "" {
		port = "3000"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("ready %d\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, http.HandlerFunc(receive)))
}
