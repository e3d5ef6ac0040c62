package main

import (
	encoding "encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"sort"
	"strings"
)

const page = 1000

type listed struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
	StorageClass string
}

type prefix struct{ Prefix string }

type listing struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	MaxKeys               int
	EncodingType          string `xml:",omitempty"`
	KeyCount              int
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listed
	CommonPrefixes        []prefix
}

func base64(sum []byte) string { return encoding.StdEncoding.EncodeToString(sum) }

func (b *bucket) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	wanted, delimiter := query.Get("prefix"), query.Get("delimiter")
	after := max(query.Get("continuation-token"), query.Get("start-after"))
	answer := listing{Name: strings.Trim(r.URL.Path, "/"), Prefix: wanted, MaxKeys: page, EncodingType: query.Get("encoding-type")}
	escaped := func(text string) string { return text }
	if answer.EncodingType == "url" {
		escaped = url.QueryEscape
	}
	stamp := b.stamp.UTC().Format("2006-01-02T15:04:05.000Z")
	seen := ""
	for _, key := range b.keys[sort.SearchStrings(b.keys, after):] {
		if key == after || !strings.HasPrefix(key, wanted) {
			continue
		}
		if at := strings.Index(key[len(wanted):], delimiter); delimiter != "" && at >= 0 {
			if common := key[:len(wanted)+at+1]; common != seen {
				seen = common
				answer.CommonPrefixes = append(answer.CommonPrefixes, prefix{escaped(common)})
			}
			continue
		}
		if len(answer.Contents) == page {
			answer.IsTruncated = true
			break
		}
		o := b.objects[key]
		answer.Contents = append(answer.Contents, listed{escaped(key), stamp, o.etag, o.size, "STANDARD"})
		answer.NextContinuationToken = key
	}
	if !answer.IsTruncated {
		answer.NextContinuationToken = ""
	}
	answer.KeyCount = len(answer.Contents)
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(answer)
}
