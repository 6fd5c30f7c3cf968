package redis

// For the tests, which live outside of the package.
var (
	AppendEnvelope = appendEnvelope
	DecodeEnvelope = decodeEnvelope
	ShardChannel   = shardChannel
	LastKey        = lastKey
	ErrVersion     = errVersion
	ErrKind        = errKind
	ErrMalformed   = errMalformed
)

// MaxEnvelope is the largest envelope that is sent or accepted.
const MaxEnvelope = maxEnvelope

// ParsedURL is what a URL was understood as.
type ParsedURL struct {
	Mode, User, Password, Master string
	Addrs                        []string
	DB                           int
	TLS                          bool
}

// ParseURL is parseURL for tests.
func ParseURL(raw string) (ParsedURL, error) {
	t, err := parseURL(raw)
	mode := [...]string{"single", "sentinel", "cluster"}[t.mode]
	return ParsedURL{mode, t.user, t.password, t.master, t.addrs, t.db, t.tls}, err
}

// CheckInfo judges a server by the text of its INFO, as Open does.
func (c *Client) CheckInfo(text string) error { return c.checkInfo(parseInfo(text)) }
