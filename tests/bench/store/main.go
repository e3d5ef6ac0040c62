// A bucket that costs as little as a server can: what a benchmark of its clients measures is the clients.
//
// It speaks the part of S3 that they use to read: ListObjectsV2, HeadObject and GetObject with ranges. Contents are made
// up: every object is one block of pseudo-random bytes, again and again, from an offset of its own.
package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc64"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"
)

const block = 4 << 20

// Reversed polynomial of CRC-64/NVME.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

type object struct {
	key, etag, checksum string
	size, offset        int64
}

type bucket struct {
	data    []byte
	objects map[string]*object
	keys    []string
	stamp   time.Time
}

type kind struct {
	Prefix string `json:"prefix"`
	Count  int    `json:"count"`
	Size   int64  `json:"size"`
	Summed bool   `json:"summed"`
}

func main() {
	kinds := flag.String("objects", "[]", "JSON list of {prefix, count, size}")
	flag.Parse()
	var wanted []kind
	if err := json.Unmarshal([]byte(*kinds), &wanted); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	made := fill(wanted)
	fmt.Println(listener.Addr())
	go func() { // the one who started it holds the other end
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, made))
}

func fill(kinds []kind) *bucket {
	made := &bucket{data: make([]byte, 2*block), objects: map[string]*object{}, stamp: time.Unix(1e9, 0)}
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(made.data[:block])
	copy(made.data[block:], made.data[:block])
	for _, k := range kinds {
		for i := range k.Count {
			o := &object{key: fmt.Sprintf("%s%05d", k.Prefix, i), size: k.Size, offset: int64(i) * 4096 % block}
			whole, sum := md5.New(), crc64.New(nvme)
			made.write(io.MultiWriter(whole, sum), o, 0, o.size)
			o.etag = `"` + hex.EncodeToString(whole.Sum(nil)) + `"`
			if k.Summed {
				o.checksum = base64(sum.Sum(nil))
			}
			made.objects[o.key] = o
			made.keys = append(made.keys, o.key)
		}
	}
	sort.Strings(made.keys)
	return made
}

// write gives bytes of an object, as slices of the one block.
func (b *bucket) write(to io.Writer, o *object, start, length int64) {
	for length > 0 {
		at := (o.offset + start) % block
		n := min(length, block)
		if _, err := to.Write(b.data[at : at+n]); err != nil {
			return
		}
		start, length = start+n, length-n
	}
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if key == "" {
		b.list(w, r)
		return
	}
	o := b.objects[key]
	if o == nil {
		http.Error(w, "<Error><Code>NoSuchKey</Code></Error>", http.StatusNotFound)
		return
	}
	b.get(w, r, o)
}

func (b *bucket) get(w http.ResponseWriter, r *http.Request, o *object) {
	start, end, status := int64(0), o.size, http.StatusOK
	if wanted, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
		first, last, _ := strings.Cut(wanted, "-")
		start, _ = strconv.ParseInt(first, 10, 64)
		if n, err := strconv.ParseInt(last, 10, 64); err == nil {
			end = min(n+1, o.size)
		}
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, end-1, o.size))
	}
	w.Header().Set("Content-Length", strconv.FormatInt(end-start, 10))
	w.Header().Set("ETag", o.etag)
	w.Header().Set("Accept-Ranges", "bytes")
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Last-Modified", b.stamp.UTC().Format(http.TimeFormat))
	if o.checksum != "" && r.Header.Get("x-amz-checksum-mode") == "ENABLED" && status == http.StatusOK {
		w.Header().Set("x-amz-checksum-crc64nvme", o.checksum)
		w.Header().Set("x-amz-checksum-type", "FULL_OBJECT")
	}
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		b.write(w, o, start, end-start)
	}
}
