package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/api"
	"tidewire/channels/channelstest"
	"tidewire/tenants"
)

// library is a file of testdata/requests: what one server library sends.
type library struct {
	Library, Version, Origin string
	Requests                 []recording
}

// recording is one request, byte for byte, and what has to come of it.
type recording struct {
	Name       string
	Time       int64 // of the server's clock, Unix seconds
	Request    string
	Status     int
	Answer     string
	Delivers   []delivery
	Terminates string // the user whose connections end
}

type delivery struct{ Channel, Event, Data string }

func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/requests/*.json")
	require.NoError(t, err)
	require.Len(t, files, 9)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var lib library
		require.NoError(t, json.Unmarshal(raw, &lib))
		require.NotEmpty(t, lib.Requests)
		for _, r := range lib.Requests {
			t.Run(lib.Library+" "+lib.Version+"/"+r.Name, func(t *testing.T) {
				t.Parallel()
				newStage(t, time.Unix(r.Time, 0)).play(r)
			})
		}
	}
}

// stage is a door on a real port before a real hub with an audience.
type stage struct {
	t        *testing.T
	hub      *channels.Hub
	address  string
	audience map[string][]*channelstest.Client // of the first app, by channel
	clients  []*channelstest.Client            // all there are, of either app
	users    map[string]*channelstest.Client   // of the first app, signed in
}

func newStage(t *testing.T, clock time.Time) *stage {
	app := activeApp(appID, key, secret)
	other := activeApp("102015", "d41a439c438a100756f5", "4bf35003e819bb138249")
	for _, a := range []*tenants.App{app, other} {
		a.Settings = tenants.DefaultSettings()
		a.Settings.SubscriptionCountEvents = true
		a.Limits = tenants.DefaultLimits()
	}
	s := &stage{t: t, hub: runHub(t), audience: make(map[string][]*channelstest.Client), users: make(map[string]*channelstest.Client)}
	engine := gin.New()
	api.New(api.Config{Hub: s.hub, Apps: directory{app, other}, Now: func() time.Time { return clock }}).Mount(engine)
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	s.address = server.Listener.Addr().String()

	_, err := s.hub.Publish(t.Context(), app, []channels.Event{{
		Topic: channels.Topic{App: app.ID, Channel: "cache-news"}, Name: "headline", Data: []byte(`"{\"n\":1}"`),
	}})
	require.NoError(t, err)
	s.join(app, "presence-room", `{"user_id":"2"}`)
	s.join(app, "presence-room", `{"user_id":"1"}`)
	s.join(app, "presence-room", `{"user_id":1}`) // the same user once more
	for _, name := range []string{"project-3", "cache-news", "private-encrypted-vault"} {
		s.join(app, name, "")
	}
	const session = "presence-session-d41a439c438a100756f5-4bf35003e819bb138249-"
	s.join(other, session+"ROpCFmgFhXY", `{"user_id":"1"}`)
	s.join(other, session+"nYJLy67qh52", `{"user_id":"1"}`)
	s.join(other, "project-3", "") // the same name, and nothing of the first app
	s.signIn(app, "12345")
	s.signIn(other, "12345")
	for _, c := range s.clients {
		settle(c)
	}
	return s
}

func runHub(t *testing.T) *channels.Hub {
	t.Helper()
	broker := channels.NewMemoryBroker()
	hub := channels.NewHub(channels.HubConfig{Broker: broker, Presence: channels.NewMemoryPresence(broker)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	probe := &tenants.App{ID: "1"}
	require.Eventually(t, func() bool {
		_, err := hub.Occupancy(ctx, probe, "is-it-running")
		return err == nil
	}, 20*time.Second, time.Millisecond)
	return hub
}

func (s *stage) join(app *tenants.App, channel, data string) {
	c := channelstest.Connect(s.t, s.hub, app)
	c.Join(channel, data)
	s.add(app, channel, c)
}

func (s *stage) signIn(app *tenants.App, id string) {
	c := channelstest.Connect(s.t, s.hub, app)
	c.SignIn(`{"id":"` + id + `"}`)
	require.Equal(s.t, "pusher:signin_success", c.Next().Event)
	c.Join("#server-to-user-"+id, "")
	s.add(app, "#server-to-user-"+id, c)
	if app.ID == appID {
		s.users[id] = c
	}
}

func (s *stage) add(app *tenants.App, channel string, c *channelstest.Client) {
	s.clients = append(s.clients, c)
	if app.ID == appID {
		s.audience[channel] = append(s.audience[channel], c)
	}
}

// settle reads what the making of the audience has sent to c.
func settle(c *channelstest.Client) {
	c.Send("pusher:ping", "", map[string]any{})
	for c.Next().Event != "pusher:pong" {
	}
}

// leftTTL is the only part of an answer that depends on how fast a test is.
var leftTTL = regexp.MustCompile(`"ttl":1[78]\d\d\b`)

func (s *stage) play(r recording) {
	t := s.t
	status, header, body := s.send(r.Request)
	require.Equal(t, r.Status, status, body)
	require.Equal(t, r.Answer, leftTTL.ReplaceAllString(body, `"ttl":1800`))
	if status < 300 {
		require.Equal(t, "application/json", header.Get("Content-Type"))
	} else {
		require.Equal(t, "text/plain; charset=utf-8", header.Get("Content-Type"))
	}
	for _, d := range r.Delivers {
		require.NotEmpty(t, s.audience[d.Channel])
		for _, c := range s.audience[d.Channel] {
			f := c.Next()
			require.Equal(t, d, delivery{f.Channel, f.Event, f.Text(t)})
		}
	}
	gone := s.users[r.Terminates]
	if r.Terminates != "" {
		require.Equal(t, channels.CodeUnauthorized, gone.Closed())
	}
	for _, c := range s.clients {
		if c != gone {
			c.Silent()
		}
	}
}

// send writes the request as it is and reads the answer.
func (s *stage) send(request string) (int, http.Header, string) {
	t := s.t
	conn, err := net.Dial("tcp", s.address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode, res.Header, string(body)
}
