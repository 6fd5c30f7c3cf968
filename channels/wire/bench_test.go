package wire_test

import (
	"strings"
	"testing"

	"tidewire/channels/wire"
)

func BenchmarkDecodeClientFrame(b *testing.B) {
	for name, frame := range map[string]string{
		"ping":        `{"event":"pusher:ping","data":{}}`,
		"subscribe":   `{"event":"pusher:subscribe","data":{"auth":"","channel":"my-channel"}}`,
		"clientEvent": `{"event":"client-move","channel":"private-room-1","data":{"x":12.5,"y":-3,"tag":"abc"}}`,
		"10kB":        `{"event":"client-move","channel":"private-room-1","data":"` + strings.Repeat("x", 10240) + `"}`,
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(frame)
			var f wire.ClientFrame
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if err := wire.DecodeClientFrame(in, &f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHostileKeys is the dearest 32 kB we know: objects made so that the
// search for repeated keys has the most to do. The keys of "oneHash" all have
// the same hash.
func BenchmarkHostileKeys(b *testing.B) {
	few := manyKeys(64)
	for name, o := range map[string]string{
		"few":     few,
		"escaped": strings.ReplaceAll(few, `"k`, `"\u006b`),
		"many":    manyKeys(wire.MaxNestedKeys),
		"oneHash": oneHash(b, wire.MaxNestedKeys),
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(`{"a":[` + o + strings.Repeat(","+o, max(0, 32000/len(o)-1)) + `]}`)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if err := wire.Valid(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	data := wire.Quote(nil, `{"user":"é","text":"`+strings.Repeat("hello ", 30)+`"}`)
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = wire.AppendEvent(dst[:0], "my-event", "my-channel", data, "")
	}
	b.SetBytes(int64(len(dst)))
}

func BenchmarkAppendData(b *testing.B) {
	raw := []byte(`{"user":"é","text":"` + strings.Repeat("hello ", 30) + `"}`)
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		dst = wire.AppendData(dst[:0], raw)
	}
}
