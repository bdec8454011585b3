// The same check with Go's standard library alone, for both versions of the signature and with several keys.
// As a program it judges messages given as JSON on standard input, one object a line; the tests run it.
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

const tolerance = 300

var seconds = regexp.MustCompile(`^[1-9][0-9]{0,11}$`)

// Judge tells whether a message is genuine and fresh: "accepted", or why not. Keys are whsec_… and whpk_….
// It remembers nothing: keep id and timestamp of what was accepted for ten minutes to refuse copies.
func Judge(id, timestamp, signatures string, body []byte, keys []string, now int64) string {
	if id == "" || strings.Contains(id, ".") || signatures == "" || !seconds.MatchString(timestamp) {
		return "malformed"
	}
	if !signed([]byte(id+"."+timestamp+"."+string(body)), signatures, keys) {
		return "forged"
	}
	sent, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return "malformed"
	}
	if now-sent > tolerance {
		return "stale"
	}
	if sent-now > tolerance {
		return "early"
	}
	var event struct{ Type, Timestamp *string }
	if !utf8.Valid(body) || json.Unmarshal(body, &event) != nil || event.Type == nil || event.Timestamp == nil {
		return "malformed"
	}
	return "accepted"
}

func signed(message []byte, signatures string, keys []string) bool {
	strict := base64.StdEncoding.Strict()
	for _, one := range strings.Fields(signatures) {
		version, encoded, _ := strings.Cut(one, ",")
		value, err := strict.DecodeString(encoded)
		if err != nil {
			continue
		}
		for _, key := range keys {
			kind, text, _ := strings.Cut(key, "_")
			known, err := strict.DecodeString(text)
			if err != nil {
				continue
			}
			switch {
			case version == "v1" && kind == "whsec":
				sum := hmac.New(sha256.New, known)
				sum.Write(message)
				if hmac.Equal(value, sum.Sum(nil)) { // in constant time
					return true
				}
			case version == "v1a" && kind == "whpk" && len(known) == ed25519.PublicKeySize:
				if ed25519.Verify(known, message, value) {
					return true
				}
			}
		}
	}
	return false
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked struct {
			ID, Timestamp, Signatures string
			Body                      []byte
			Keys                      []string
			Now                       int64
		}
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		fmt.Println(Judge(asked.ID, asked.Timestamp, asked.Signatures, asked.Body, asked.Keys, asked.Now))
	}
}
