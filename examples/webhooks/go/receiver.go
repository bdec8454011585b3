// Receive webhooks with the public library: github.com/standard-webhooks/standard-webhooks/libraries.
//
//	WEBHOOK_SECRET=whsec_… go run receiver.go
package main

import (
	"io"
	"log"
	"net/http"
	"os"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	verifier, err := standardwebhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/hooks/heldtrue", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20)) // the bytes as they came
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		if err := verifier.Verify(body, r.Header); err != nil { // signature, and five minutes of tolerance
			http.Error(w, "refused", http.StatusBadRequest)
			return
		}
		// Make what you do here depend on the id happening once: a unique key in your own transaction.
		log.Printf("accepted %s", r.Header.Get("webhook-id"))
		w.WriteHeader(http.StatusNoContent)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}
