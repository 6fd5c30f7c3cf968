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

// BenchmarkHostileKeys is the dearest 32 kB frame we know: objects with as many
// keys as are allowed, so that the search for repeated ones has the most to do.
func BenchmarkHostileKeys(b *testing.B) {
	object := manyKeys(wire.MaxKeys)
	escaped := strings.ReplaceAll(object, `"k`, `"\u006b`)
	for name, o := range map[string]string{"plain": object, "escaped": escaped} {
		b.Run(name, func(b *testing.B) {
			in := []byte(`{"a":[` + strings.TrimSuffix(strings.Repeat(o+",", 32000/len(o)), ",") + `]}`)
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
