package ws

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// clientFrame is one masked frame of a client; the mask is zero.
func clientFrame(first byte, size int) []byte {
	b := []byte{first, 0x80}
	switch {
	case size < 126:
		b[1] |= byte(size)
	case size <= 0xffff:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(size))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(size))
	}
	return append(append(b, 0, 0, 0, 0), make([]byte, size)...)
}

const (
	wholeText = 0x81
	firstText = 0x01
	more      = 0x00
	lastPiece = 0x80
	ping      = 0x89
)

// The meter must see the same frames however the bytes are cut up.
func TestMeterFindsFramesInAnyPieces(t *testing.T) {
	t.Parallel()
	var stream []byte
	for _, size := range []int{0, 1, 125, 126, 200, 65535, 65536, 3} {
		stream = append(stream, clientFrame(wholeText, size)...)
		stream = append(stream, clientFrame(ping, size%126)...)
	}
	stream = append(stream, clientFrame(firstText, 5)...)
	stream = append(stream, clientFrame(more, 5)...)
	for _, piece := range []int{1, 2, 3, 7, 1000, len(stream)} {
		var m meter
		for at := 0; at < len(stream); at += piece {
			require.NoError(t, m.read(stream[at:min(at+piece, len(stream))]))
		}
		require.EqualValues(t, 2, m.fragments, "pieces of %d", piece)
		require.Zero(t, m.have)
		require.Zero(t, m.skip)
		require.NotZero(t, m.begun, "a message is unfinished")
		require.NoError(t, m.read(clientFrame(lastPiece, 1)))
		require.Zero(t, m.begun)
	}
}

func TestMeterBoundsFragments(t *testing.T) {
	t.Parallel()
	var m meter
	require.NoError(t, m.read(clientFrame(firstText, 0)))
	for range maxFragments - 1 {
		require.NoError(t, m.read(clientFrame(more, 0)))
	}
	require.ErrorIs(t, m.read(clientFrame(more, 0)), errFlood)
}

func TestMeterBoundsControlFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m meter
		for range controlBurst {
			require.NoError(t, m.read(clientFrame(ping, 4)))
		}
		require.ErrorIs(t, m.read(clientFrame(ping, 4)), errFlood)
		m = meter{}
		for range 20 * controlBurst { // a steady stream at the rate is fine for ever
			time.Sleep(time.Second / controlRate)
			require.NoError(t, m.read(clientFrame(ping, 4)))
		}
	})
}

func TestMeterSlowsAFloodOfMessagesDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m meter
		begun := time.Now()
		for range frameBurst {
			m.hold()
			require.NoError(t, m.read(clientFrame(wholeText, 20)))
		}
		require.Zero(t, time.Since(begun), "a burst is let through at once")
		const extra = 1000
		for range extra {
			m.hold()
			require.NoError(t, m.read(clientFrame(wholeText, 20)))
		}
		require.InDelta(t, float64(extra)/frameRate, time.Since(begun).Seconds(), 0.1)
	})
}

func TestMeterEndsAMessageThatTakesTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m meter
		frame := clientFrame(wholeText, 100)
		var err error
		begun := time.Now()
		for i := range frame { // a byte a second
			if err = m.read(frame[i : i+1]); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		require.ErrorIs(t, err, errFlood)
		require.InDelta(t, messageTime.Seconds(), time.Since(begun).Seconds(), 2)
	})
}

func TestMeterRefusesAbsurdLengths(t *testing.T) {
	t.Parallel()
	for _, length := range []uint64{1 << 41, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		var m meter
		head := binary.BigEndian.AppendUint64([]byte{wholeText, 0xff}, length)
		require.ErrorIs(t, m.read(append(head, 0, 0, 0, 0)), errFlood, "%d", length)
	}
}
